package fleet

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Customizations are the resource customizations of the whole fleet as they are
// stored. Version 0: nobody has set any.
type Customizations struct {
	model.Settings
	ChangedBy string
	ChangedAt time.Time
}

// RBAC is an RBAC policy in the format of Argo CD's argocd-rbac-cm, as it is
// kept: policy.csv, policy.*.csv, policy.default, policy.matchMode and scopes.
// Package permission compiles it. Version 0: nobody has set any.
type RBAC struct {
	Version   int64
	Keys      map[string]string
	ChangedBy string
	ChangedAt time.Time
}

// MaxRBACBytes bounds the keys and texts of an RBAC policy together.
const MaxRBACBytes = 512 << 10

// CheckRBAC is the decision whether keys are an RBAC policy. Its texts are not
// read: they are kept as they were written.
func CheckRBAC(keys map[string]string) error {
	var problems fault.List
	size := 0
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		size += len(k) + len(keys[k])
		switch {
		case k == "policy.default", k == "scopes", strings.HasPrefix(k, "policy.") && strings.HasSuffix(k, ".csv") && k != "policy..csv":
		case k == "policy.matchMode":
			if m := strings.TrimSpace(keys[k]); m != "" && m != "glob" && m != "regex" {
				problems = append(problems, fault.New(fault.Invalid, "rbac_invalid", "policy.matchMode is %.40q", m).WithField(k).WithFound(m, "glob, regex"))
			}
		default:
			problems = append(problems, fault.New(fault.Invalid, "rbac_invalid", "%.60q is no key of an RBAC policy", k).WithField(k).
				WithFound(k, "policy.csv, policy.*.csv, policy.default, policy.matchMode, scopes"))
		}
	}
	if size > MaxRBACBytes {
		problems = append(problems, fault.New(fault.TooLarge, "rbac_too_large", "the RBAC policy has %d bytes; at most %d are kept", size, MaxRBACBytes))
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// SettingsVersion is one version of settings, without its content.
type SettingsVersion struct {
	Version   int64     `json:"version"`
	ChangedBy string    `json:"changedBy,omitempty"`
	ChangedAt time.Time `json:"changedAt"`
}

// SettingsHolders counts the clusters by the settings that their agents have
// stored.
type SettingsHolders struct {
	// Current have those in force; Behind others or none, BehindNames the first
	// of them by name.
	Current     int      `json:"current"`
	Behind      int      `json:"behind"`
	BehindNames []string `json:"behindNames,omitempty"`
}

// KeptSettings is how many versions are kept.
const KeptSettings = 20

// SettingsOwed decides whether an agent has to be sent the settings. held is the
// digest of what it holds, "" for none. A database without settings says
// nothing: what an agent holds stays, as when the database is a new one.
func SettingsOwed(capabilities []string, held model.Digest, s model.Settings) bool {
	return s.Version > 0 && slices.Contains(capabilities, model.CapabilitySettings) && held != s.Customizations.Digest()
}

// What became of a key.
const (
	KeyAdded   = "added"
	KeyChanged = "changed"
	KeyRemoved = "removed"
)

// KeyChange is a key that differs between two sets of customizations.
type KeyChange struct {
	Key    string `json:"key"`
	Change string `json:"change"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// DiffCustomizations lists the keys that differ, in their order.
func DiffCustomizations(before, after model.Customizations) []KeyChange {
	keys := map[string]struct{}{}
	for k := range before {
		keys[k] = struct{}{}
	}
	for k := range after {
		keys[k] = struct{}{}
	}
	out := []KeyChange{}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		b, had := before[k]
		a, has := after[k]
		switch {
		case !had:
			out = append(out, KeyChange{Key: k, Change: KeyAdded, After: a})
		case !has:
			out = append(out, KeyChange{Key: k, Change: KeyRemoved, Before: b})
		case a != b:
			out = append(out, KeyChange{Key: k, Change: KeyChanged, Before: b, After: a})
		}
	}
	return out
}
