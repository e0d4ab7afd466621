package sync

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// status is the part of a Kubernetes Status document that is read.
type status struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Details struct {
		Kind              string  `json:"kind"`
		Name              string  `json:"name"`
		Causes            []cause `json:"causes"`
		RetryAfterSeconds int     `json:"retryAfterSeconds"`
	} `json:"details"`
}

type cause struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Field   string `json:"field"`
}

// What the API server says, as of Kubernetes 1.37: apiserver
// admission/plugin/webhook/errors, util/webhook, admission/plugin/policy and
// apiextensions-apiserver apiserver/conversion.
var (
	webhookDenied    = regexp.MustCompile(`admission webhook "([^"]+)" denied the request`)
	webhookDryRun    = regexp.MustCompile(`admission webhook "([^"]+)" does not support dry run`)
	webhookFailed    = regexp.MustCompile(`failed calling webhook "([^"]+)"`)
	policyDenied     = regexp.MustCompile(`(ValidatingAdmissionPolicy|MutatingAdmissionPolicy|policy) '([^']+)' with binding`)
	conversionFailed = regexp.MustCompile(`conversion webhook for ([^ ,]+), Kind=(\w+)`)
	webhookAddress   = regexp.MustCompile(`(?:Post|Get) "https?://([^/"?]+)`)
	podSecurity      = regexp.MustCompile(`violates PodSecurity "([^"]+)"`)
)

// Classify turns the API server's refusal of a request into a fault that says
// what to do. after is what its header Retry-After asks for, zero for nothing.
// Codes:
//
//	the object          immutable_field schema_invalid too_large not_found already_exists
//	who else changes it version_conflict uid_changed still_deleting
//	its kind            kind_unknown api_removed conversion_failed
//	its namespace       namespace_missing namespace_terminating quota_exceeded quota_conflict
//	who may             forbidden pod_security_denied
//	admission           webhook_denied webhook_failed dry_run_unsupported policy_denied
//	the server          throttled cluster_unavailable disruption_budget apply_refused
//
// The error is a RetryAfter where the server says when to come again. A webhook
// that does not work is an Upstream fault, which may go away, but not by asking
// again at once. dry_run_unsupported says nothing about the object: what a dry
// run would have told stays undetermined. The server's words are kept, except
// about values of Secrets.
func Classify(code int, after time.Duration, body []byte, key model.ObjectKey, apiVersion string) error {
	f := classifyStatus(code, body, key, apiVersion)
	if len(f.Message) > maxMessage {
		f.Message = clip(f.Message, maxMessage-len("…"))
	}
	switch {
	case f.Code == "throttled":
		return &RetryAfter{After: after, Err: f}
	case f.Code == "cluster_unavailable" && code == http.StatusServiceUnavailable && after > 0:
		return &RetryAfter{After: after, Alone: true, Err: f}
	}
	return f
}

// maxMessage is the length that fault.Error promises.
const maxMessage = 300

func classifyStatus(code int, body []byte, key model.ObjectKey, apiVersion string) *fault.Error {
	var s status
	if json.Unmarshal(body, &s) != nil || s.Kind != "Status" {
		s = status{}
	}
	said := sayings(s, key)
	// What admission says comes first: a webhook chooses its status code itself.
	if e := classifyAdmission(s.Message, said, key); e != nil {
		return e
	}
	switch code {
	case http.StatusUnauthorized:
		return fault.New(fault.Denied, "forbidden", "%s: the API server does not know the agent%s", key, said).
			WithFix("look at the agent's service account and its token")
	case http.StatusForbidden:
		return classifyForbidden(s, said, key)
	case http.StatusNotFound:
		return classifyNotFound(s, said, key, apiVersion)
	case http.StatusConflict:
		return classifyConflict(s, said, key)
	case http.StatusRequestEntityTooLarge:
		return fault.New(fault.TooLarge, "too_large", "%s is larger than the API server takes%s", key, said)
	case http.StatusTooManyRequests:
		if hasCause(s, "DisruptionBudget") || strings.Contains(s.Message, "disruption budget") {
			return fault.New(fault.Precondition, "disruption_budget", "%s: a PodDisruptionBudget does not let it go%s", key, said)
		}
		return fault.New(fault.RateLimited, "throttled", "%s: the API server is too busy%s", key, said)
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		return classifyInvalid(s, said, key)
	}
	switch {
	case code == http.StatusInternalServerError && notTyped(s.Message):
		return classifyInvalid(s, said, key)
	case code == http.StatusInternalServerError && (strings.Contains(s.Message, "etcdserver: request is too large") || strings.Contains(s.Message, "trying to send message larger than max")):
		return fault.New(fault.TooLarge, "too_large", "%s is larger than etcd takes%s", key, said)
	case code >= 500:
		return fault.New(fault.Unavailable, "cluster_unavailable", "%s: the API server failed with status %d%s", key, code, said)
	}
	return fault.New(fault.Upstream, "apply_refused", "%s: the API server answers with status %d%s", key, code, said)
}

// notTyped reports whether server-side apply could not make sense of an object,
// which it answers with status 500.
func notTyped(m string) bool {
	for _, part := range []string{"field not declared in schema", "failed to create typed", "unable to convert unstructured object to", "error decoding from json"} {
		if strings.Contains(m, part) {
			return true
		}
	}
	return false
}

func classifyAdmission(m, said string, key model.ObjectKey) *fault.Error {
	if m == "" {
		return nil
	}
	if hit := webhookDryRun.FindStringSubmatch(m); hit != nil {
		return fault.New(fault.Upstream, "dry_run_unsupported", "%s: admission webhook %q refuses dry runs, so what it would do is not known", key, hit[1]).
			WithFix("set sideEffects: None in its configuration if it has none")
	}
	if hit := webhookDenied.FindStringSubmatch(m); hit != nil {
		return fault.New(fault.Denied, "webhook_denied", "%s: admission webhook %q refuses it%s", key, hit[1], said)
	}
	if hit := webhookFailed.FindStringSubmatch(m); hit != nil {
		return fault.New(fault.Upstream, "webhook_failed", "%s: admission webhook %q does not work%s", key, hit[1], said)
	}
	if hit := policyDenied.FindStringSubmatch(m); hit != nil {
		kind := hit[1]
		if kind == "policy" {
			kind = "admission policy"
		}
		return fault.New(fault.Denied, "policy_denied", "%s: %s %q refuses it%s", key, kind, hit[2], said)
	}
	if hit := conversionFailed.FindStringSubmatch(m); hit != nil {
		at := ""
		if a := webhookAddress.FindStringSubmatch(m); a != nil {
			at = " at " + clip(a[1], 80)
		}
		return fault.New(fault.Upstream, "conversion_failed", "%s: the conversion webhook of the CRD for %s%s does not work%s", key, key.GroupKind(), at, said).
			WithFix("repair the service that the CRD names in spec.conversion.webhook")
	}
	return nil
}

func classifyForbidden(s status, said string, key model.ObjectKey) *fault.Error {
	m := s.Message
	switch {
	case hasCause(s, "NamespaceTerminating") || strings.Contains(m, "being terminated"):
		return fault.New(fault.Unavailable, "namespace_terminating", "%s: namespace %q is being deleted; it can be used again when it is gone", key, key.Namespace)
	case strings.Contains(m, "exceeded quota"), strings.Contains(m, "failed quota"), strings.Contains(m, "insufficient quota"), strings.Contains(m, "status unknown for quota"):
		return fault.New(fault.Denied, "quota_exceeded", "%s: a resource quota is exceeded%s", key, said)
	case podSecurity.MatchString(m):
		return fault.New(fault.Denied, "pod_security_denied", "%s: the namespace enforces the Pod Security Standard %q%s", key, podSecurity.FindStringSubmatch(m)[1], said)
	case strings.Contains(m, "User "):
		return fault.New(fault.Denied, "forbidden", "%s: the agent's account may not write it%s", key, said).
			WithFix("grant the agent's service account this kind in this namespace, or take the object out of the application")
	}
	return fault.New(fault.Denied, "forbidden", "%s: the API server refuses it%s", key, said)
}

func classifyNotFound(s status, said string, key model.ObjectKey, apiVersion string) *fault.Error {
	switch {
	case s.Details.Kind == "namespaces" && s.Details.Name == key.Namespace && key.Namespace != "":
		return fault.New(fault.Unprocessable, "namespace_missing", "%s: namespace %q does not exist; add it to the application or set the sync option CreateNamespace=true", key, key.Namespace)
	case s.Kind == "" || strings.Contains(s.Message, "could not find the requested resource"):
		if text := removed(apiVersion, key.Kind); text != "" {
			return fault.New(fault.Unprocessable, "api_removed", "%s: %s", key, text)
		}
		return fault.New(fault.Unprocessable, "kind_unknown", "%s: the cluster does not serve %s as %s", key, key.Kind, apiVersion).
			WithFix("use an API version that the cluster serves, or install the CRD that does")
	}
	return fault.New(fault.NotFound, "not_found", "%s does not exist%s", key, said)
}

func classifyConflict(s status, said string, key model.ObjectKey) *fault.Error {
	switch m := s.Message; {
	case s.Reason == "AlreadyExists" && strings.Contains(m, "object is being deleted"):
		return fault.New(fault.Unavailable, "still_deleting", "%s is being deleted, and is not gone yet", key)
	case s.Reason == "AlreadyExists":
		return fault.New(fault.Conflict, "already_exists", "%s exists already", key)
	case strings.Contains(m, "UID in precondition"), strings.Contains(m, "the UID in the precondition"):
		return uidChanged(key)
	case s.Details.Kind == "resourcequotas" && key.Kind != "ResourceQuota":
		return fault.New(fault.Unavailable, "quota_conflict", "%s: a resource quota of namespace %q was counted at the same moment", key, key.Namespace)
	}
	return fault.New(fault.Conflict, "version_conflict", "%s was changed at the same moment%s", key, said)
}

func uidChanged(key model.ObjectKey) *fault.Error {
	return fault.New(fault.Conflict, "uid_changed", "%s was replaced by another object of the same name", key)
}

func classifyInvalid(s status, said string, key model.ObjectKey) *fault.Error {
	if slices.ContainsFunc(s.Details.Causes, func(c cause) bool { return c.Field == "metadata.uid" }) {
		return uidChanged(key) // of a patch, whose uid is meant as a precondition
	}
	at := slices.IndexFunc(s.Details.Causes, func(c cause) bool { return immutable.MatchString(c.Message) })
	if at >= 0 || immutable.MatchString(s.Message) {
		e := fault.New(fault.Unprocessable, "immutable_field", "%s: a field that cannot be changed differs%s; use Replace=true,Force=true or recreate it", key, said)
		if at = max(at, 0); at < len(s.Details.Causes) {
			e.Field = s.Details.Causes[at].Field
		}
		return e
	}
	e := fault.New(fault.Unprocessable, "schema_invalid", "%s is not valid%s", key, said)
	if len(s.Details.Causes) > 0 {
		e.Field = s.Details.Causes[0].Field
	}
	return e
}

func hasCause(s status, reason string) bool {
	return slices.ContainsFunc(s.Details.Causes, func(c cause) bool { return c.Reason == reason })
}

// immutable is what the validations of Kubernetes say of a field that an update
// may not change; rules of CRDs mostly use the word as well.
var immutable = regexp.MustCompile(`(?i)\bimmutable\b|may not (be changed|change\b)|cannot be modified once set|cannot change roleRef|can ?not be unset|Forbidden: updates to |\bupdates to .{1,80} (are|is) forbidden|can not be less than previous value`)

const maxSaid = 220

// sayings is the server's message, as the end of a sentence. About a Secret it
// names only the fields, because validation quotes values.
func sayings(s status, key model.ObjectKey) string {
	if s.Message == "" {
		return ""
	}
	if manifest.IsSecret(key.GroupKind()) {
		var fields []string
		for _, c := range s.Details.Causes {
			if c.Field != "" {
				fields = append(fields, c.Field)
			}
		}
		if len(fields) > 0 {
			return fmt.Sprintf(" (at %s; values hidden)", clip(strings.Join(fields, ", "), maxSaid))
		}
		return " (values hidden)"
	}
	words := internals.ReplaceAllString(strings.Join(strings.Fields(s.Message), " "), "$1")
	return ": " + clip(words, maxSaid)
}

// internals are values as Go prints the API server's own types.
var internals = regexp.MustCompile(`&?value\.\w+\{(?:Value:)?([^{}]*)\}`)

// StillDeleting is the error about an object that is being deleted for so long
// that it is worth telling: body, as the API server has it, says who keeps it.
func StillDeleting(key model.ObjectKey, body []byte, waited time.Duration) *fault.Error {
	var o struct {
		Metadata struct {
			Finalizers []string `json:"finalizers"`
		} `json:"metadata"`
		Spec struct {
			Finalizers []string `json:"finalizers"`
		} `json:"spec"`
		Status struct {
			Conditions []struct {
				Type    string `json:"type"`
				Status  string `json:"status"`
				Message string `json:"message"`
			} `json:"conditions"`
		} `json:"status"`
	}
	_ = json.Unmarshal(body, &o) // nothing more is known then
	why := ""
	if len(o.Metadata.Finalizers) > 0 {
		why = ": it waits for " + plural("the finalizer", o.Metadata.Finalizers)
	}
	if key.GroupKind() == (model.GroupKind{Kind: "Namespace"}) {
		// The conditions of a namespace are true when something keeps it. What says
		// who it is comes first, because the message has an end.
		for _, kind := range []string{"NamespaceFinalizersRemaining", "NamespaceDeletionContentFailure", "NamespaceDeletionDiscoveryFailure", "NamespaceContentRemaining"} {
			for _, c := range o.Status.Conditions {
				if c.Type == kind && c.Status == "True" && c.Message != "" {
					why += "; " + clip(strings.Join(strings.Fields(c.Message), " "), 140)
				}
			}
		}
	}
	e := fault.New(fault.Unavailable, "still_deleting", "%s is being deleted, and is not gone after %s%s", key, waited.Round(time.Second), why)
	if len(e.Message) > maxMessage {
		e.Message = clip(e.Message, maxMessage-len("…"))
	}
	if len(o.Metadata.Finalizers) > 0 {
		e = e.WithFix("look at the controller that is to remove %s", plural("the finalizer", o.Metadata.Finalizers))
	}
	return e
}

func plural(what string, names []string) string {
	for i, n := range names {
		names[i] = clip(n, 80)
	}
	if len(names) > 1 {
		what += "s"
	}
	return what + " " + strings.Join(names[:min(len(names), 3)], ", ")
}
