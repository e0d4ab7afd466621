package diff

import (
	"maps"
	"strings"
	"sync"
)

// knownField says that a field of a custom resource holds one of Kubernetes' own
// types, whose values its controller may write back in another spelling.
type knownField struct {
	Field string `json:"field"`
	Type  string `json:"type"`
}

// knownType is the type of that name, as in core/v1/PodSpec, core/Quantity or
// meta/v1/Duration, or nil.
func knownType(name string) *Type {
	switch name {
	case "core/Quantity", "resource/Quantity":
		return quantityT
	case "meta/v1/Duration":
		return durationT
	case "core/v1/ResourceList":
		return &Type{shape: shapeMap, elem: quantityT}
	}
	group, rest, _ := strings.Cut(name, "/")
	rest = strings.Replace(rest, "/", ".", 1)
	if group != "core" {
		rest = group + "/" + rest
	}
	if t := builtin.named(rest); t != nil {
		return spelling(t, map[*Type]*Type{})
	}
	return nil
}

// spelling is the type as far as spellings go: quantities, times and zero values
// are known, how lists merge and what is filled in is not, because another server
// decides that.
func spelling(t *Type, made map[*Type]*Type) *Type {
	if c := made[t]; c != nil {
		return c
	}
	switch t.shape {
	case shapeStruct:
		c := &Type{shape: shapeStruct, name: "", fields: map[string]*fieldType{}, elem: unknownType}
		made[t] = c
		for k, f := range t.fields {
			c.fields[k] = &fieldType{typ: spelling(f.typ, made), presence: f.presence}
		}
		return c
	case shapeMap:
		c := &Type{shape: shapeMap}
		made[t] = c
		c.elem = spelling(t.elem, made)
		return c
	case shapeList:
		c := &Type{shape: shapeList, merge: mergeUnknown}
		made[t] = c
		c.elem = spelling(t.elem, made)
		return c
	}
	return t
}

// typedAs is a kind as some schema and some rules have it.
type typedAs struct {
	base      *Type
	rules     *SystemRules
	groupKind string
}

func (s *SystemRules) addKnown(key, name string, fields []knownField, bad func(string, string, ...any)) {
	group, kind, ok := groupKind(name)
	if !ok {
		bad(key, "%q is no group and kind as in argoproj.io_Rollout", name)
		return
	}
	for _, f := range fields {
		if strings.HasPrefix(f.Type, "core/v1/") && knownType(f.Type) == nil {
			continue // a type of status, of which nothing needs to be known
		}
		if f.Field == "" || knownType(f.Type) == nil {
			bad(key, "field %q has the type %q, which is none of Kubernetes' own as core/v1/PodSpec", f.Field, f.Type)
			continue
		}
		if s.known == nil {
			s.known = map[string][]knownField{}
		}
		s.known[group+"/"+kind] = append(s.known[group+"/"+kind], f)
	}
}

// durations are fields of custom resources that are Go durations, which their
// webhooks or controllers write back in Go's notation ("1h" as "1h0m0s").
var durations = map[string][]string{
	"cert-manager.io/Certificate":                       {"spec.duration", "spec.renewBefore"},
	"cert-manager.io/CertificateRequest":                {"spec.duration"},
	"external-secrets.io/ExternalSecret":                {"spec.refreshInterval"},
	"external-secrets.io/ClusterExternalSecret":         {"spec.refreshTime", "spec.externalSecretSpec.refreshInterval"},
	"external-secrets.io/PushSecret":                    {"spec.refreshInterval"},
	"velero.io/Backup":                                  {"spec.ttl", "spec.itemOperationTimeout", "spec.csiSnapshotTimeout"},
	"velero.io/Schedule":                                {"spec.template.ttl", "spec.template.itemOperationTimeout", "spec.template.csiSnapshotTimeout"},
	"velero.io/BackupStorageLocation":                   {"spec.backupSyncPeriod", "spec.validationFrequency"},
	"cluster.x-k8s.io/Machine":                          machineDurations("spec"),
	"cluster.x-k8s.io/MachineSet":                       machineDurations("spec.template.spec"),
	"cluster.x-k8s.io/MachineDeployment":                machineDurations("spec.template.spec"),
	"cluster.x-k8s.io/MachinePool":                      machineDurations("spec.template.spec"),
	"cluster.x-k8s.io/MachineHealthCheck":               {"spec.nodeStartupTimeout", "spec.unhealthyConditions.timeout"},
	"controlplane.cluster.x-k8s.io/KubeadmControlPlane": machineDurations("spec.machineTemplate"),
}

func machineDurations(at string) []string {
	return []string{at + ".nodeDrainTimeout", at + ".nodeVolumeDetachTimeout", at + ".nodeDeletionTimeout"}
}

// known keeps the types that were put together of what a schema and the fields
// that are known here tell.
var known struct {
	sync.Mutex
	types map[typedAs]*Type
}

// knowing is the type of objects of a kind with what is known of its fields
// without a schema.
func (s *SystemRules) knowing(base *Type, apiVersion, kind string) *Type {
	gk := groupOf(apiVersion) + "/" + kind
	builtIn := durations[gk]
	var configured []knownField
	if s != nil {
		configured = s.known[gk]
	}
	if len(builtIn)+len(configured) == 0 {
		return base
	}
	as := typedAs{base: base, rules: s, groupKind: gk}
	known.Lock()
	defer known.Unlock()
	if t := known.types[as]; t != nil {
		return t
	}
	t := base
	for _, field := range builtIn {
		t = overlaid(t, strings.Split(field, "."), durationT)
	}
	for _, f := range configured {
		t = overlaid(t, strings.Split(f.Field, "."), knownType(f.Type))
	}
	if known.types == nil || len(known.types) >= 64 {
		known.types = map[typedAs]*Type{}
	}
	known.types[as] = t
	return t
}

// overlaid is the type with another one at a field, where nothing better is
// known.
func overlaid(t *Type, way []string, known *Type) *Type {
	if len(way) == 0 {
		switch t.shape {
		case shapeUnknown, shapeAny, shapeScalar:
			return known
		}
		return t
	}
	switch t.shape {
	case shapeUnknown, shapeAny, shapeStruct:
		c := *t
		c.fields = maps.Clone(t.fields)
		if c.fields == nil {
			c.fields = map[string]*fieldType{}
		}
		f, _ := t.field(way[0])
		over := *f
		over.typ = overlaid(f.typ, way[1:], known)
		c.fields[way[0]] = &over
		return &c
	case shapeMap, shapeList: // "spec.containers.resources": of each element
		c := *t
		c.elem = overlaid(t.elem, way, known)
		return &c
	}
	return t
}
