package policy

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// The codes of refusals about service accounts.
const (
	CodeServiceAccount        = "service_account_not_found"
	CodeServiceAccountInvalid = "service_account_invalid"
)

// ServiceAccount is the account in a cluster as which an agent acts for an
// application.
type ServiceAccount struct{ Namespace, Name string }

// User is the account's name at the API server; empty for none.
func (a ServiceAccount) User() string {
	if a == (ServiceAccount{}) {
		return ""
	}
	return "system:serviceaccount:" + a.Namespace + ":" + a.Name
}

func (a ServiceAccount) String() string { return a.Namespace + "/" + a.Name }

// accountName is what the API server takes as the name of a service account and
// of its namespace (RFC 1123). Nothing else may get into a header.
var accountName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

// ChooseServiceAccount names the account as which everything is done in the
// cluster on behalf of an application: that of the first entry of
// destinationServiceAccounts that matches its destination, as in Argo CD. A
// project without entries names none: the agent acts as itself. One with entries
// of which none matches refuses.
//
// server and namespace of an entry are globs in which "*" crosses every
// character and "!" has no meaning. A cluster has several servers here, of which
// one has to match; one that has none is matched by its name, and by "*". An
// account is "name", in the destination's namespace, or "namespace:name".
func ChooseServiceAccount(project Project, dest Destination) (ServiceAccount, Decision) {
	const rule = RuleServiceAccount
	d := project.decision()
	entries := project.Spec.DestinationServiceAccounts
	if len(entries) == 0 {
		d.Allowed = true
		d.skip(rule, "the project names no accounts; the agent acts as itself")
		return ServiceAccount{}, d
	}
	for i, entry := range entries {
		if !accountMatches(entry, dest) {
			continue
		}
		field := fmt.Sprintf("spec.destinationServiceAccounts[%d].defaultServiceAccount", i)
		account, why := readAccount(entry.DefaultServiceAccount, dest.Namespace)
		if why != "" {
			d.fail(rule, Refusal{Code: CodeServiceAccountInvalid, Found: entry.DefaultServiceAccount,
				Message:     fmt.Sprintf("project %s: %s is %s, which %s", quote(project.Name), field, quote(entry.DefaultServiceAccount), why),
				NearestRule: fmt.Sprintf("#%d %s", i+1, accountLabel(entry)),
				Fix:         `write the account as "name" or "namespace:name"`})
			return ServiceAccount{}, d
		}
		d.Allowed = true
		d.pass(rule, fmt.Sprintf("%s matches rule #%d %s: the agent acts as %s", dest.label(dest.Namespace), i+1, accountLabel(entry), account.User()))
		return account, d
	}
	labels := make([]string, len(entries))
	for i, entry := range entries {
		labels[i] = accountLabel(entry)
	}
	d.fail(rule, Refusal{Code: CodeServiceAccount, Field: "spec.destination", Found: dest.label(dest.Namespace), Allowed: shortList(labels),
		Message: fmt.Sprintf("project %s names no service account for %s; it names some for %s", quote(project.Name), dest.label(dest.Namespace), shortList(labels)),
		Fix:     "add an entry for this destination to destinationServiceAccounts of project " + quote(project.Name)})
	return ServiceAccount{}, d
}

// CheckServiceAccount says why an entry can never name an account; nil when it
// can. A name without a namespace takes the destination's.
func CheckServiceAccount(entry model.DestinationServiceAccount) error {
	for _, pattern := range []string{entry.Server, entry.Namespace} {
		if _, err := CompileGlob(pattern, ""); err != nil {
			return err
		}
	}
	if _, why := readAccount(entry.DefaultServiceAccount, "default"); why != "" {
		return fmt.Errorf("%s %s", quote(entry.DefaultServiceAccount), why)
	}
	return nil
}

func accountMatches(entry model.DestinationServiceAccount, dest Destination) bool {
	namespace, err := CompileGlob(entry.Namespace, "")
	if err != nil || !namespace.Match(dest.Namespace) {
		return false
	}
	if entry.Server == "*" {
		return true
	}
	server, err := CompileGlob(entry.Server, "")
	if err != nil {
		return false
	}
	servers := dest.servers()
	if len(servers) == 0 {
		return dest.Name != "" && server.Match(dest.Name)
	}
	for _, s := range servers {
		if server.Match(s) {
			return true
		}
	}
	return false
}

// readAccount reads "name" or "namespace:name"; why says what is wrong.
func readAccount(text, namespace string) (a ServiceAccount, why string) {
	a = ServiceAccount{Namespace: namespace, Name: text}
	if ns, name, ok := strings.Cut(text, ":"); ok {
		a = ServiceAccount{Namespace: ns, Name: name}
	}
	switch {
	case strings.TrimSpace(text) == "":
		return a, "is no name"
	case !accountName.MatchString(a.Name):
		return a, "is not the name of a service account"
	case a.Namespace == "":
		return a, "names no namespace, and the destination has none"
	case len(a.Namespace) > 63 || !accountName.MatchString(a.Namespace) || strings.Contains(a.Namespace, "."):
		return a, "is not in a namespace that there can be"
	}
	return a, ""
}

func accountLabel(entry model.DestinationServiceAccount) string {
	return entry.Server + "/" + entry.Namespace + " → " + entry.DefaultServiceAccount
}
