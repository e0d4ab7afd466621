package sync

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
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
		Kind   string `json:"kind"`
		Name   string `json:"name"`
		Causes []struct {
			Reason  string `json:"reason"`
			Message string `json:"message"`
			Field   string `json:"field"`
		} `json:"causes"`
		RetryAfterSeconds int `json:"retryAfterSeconds"`
	} `json:"details"`
}

var webhookDenied = regexp.MustCompile(`admission webhook "([^"]+)" denied the request`)
var webhookFailed = regexp.MustCompile(`failed calling webhook "([^"]+)"`)
var policyDenied = regexp.MustCompile(`ValidatingAdmissionPolicy '([^']+)'`)

// Classify turns the API server's refusal of a write into a fault that says
// what to do. Codes: immutable_field, schema_invalid, forbidden,
// namespace_missing, namespace_terminating, webhook_denied, webhook_failed,
// policy_denied, quota_exceeded, kind_unknown, api_removed, uid_changed, version_conflict,
// not_found, too_large, throttled (as a RetryAfter), cluster_unavailable,
// apply_refused. The server's words are kept, except about values of Secrets.
func Classify(code int, retryAfter string, body []byte, key model.ObjectKey, apiVersion string) error {
	err := classifyStatus(code, retryAfter, body, key, apiVersion)
	if f := fault.As(err); len(f.Message) > maxMessage {
		f.Message = clip(f.Message, maxMessage-len("…"))
	}
	return err
}

// maxMessage is the length that fault.Error promises.
const maxMessage = 300

func classifyStatus(code int, retryAfter string, body []byte, key model.ObjectKey, apiVersion string) error {
	var s status
	if json.Unmarshal(body, &s) != nil || s.Kind != "Status" {
		s = status{}
	}
	said := sayings(s, key)
	switch m := s.Message; {
	case code == http.StatusTooManyRequests:
		after := time.Duration(s.Details.RetryAfterSeconds) * time.Second
		if n, err := strconv.Atoi(retryAfter); err == nil && n > 0 {
			after = time.Duration(n) * time.Second
		}
		err := fault.New(fault.RateLimited, "throttled", "%s: the API server is too busy%s", key, said)
		if s.Reason == "TooManyRequests" && strings.Contains(m, "disruption budget") {
			return fault.New(fault.Precondition, "disruption_budget", "%s: %s", key, clip(m, 200))
		}
		return &RetryAfter{After: after, Err: err}
	case webhookDenied.MatchString(m):
		return fault.New(fault.Denied, "webhook_denied", "%s: admission webhook %q refuses it%s", key, webhookDenied.FindStringSubmatch(m)[1], said)
	case webhookFailed.MatchString(m):
		return fault.New(fault.Upstream, "webhook_failed", "%s: admission webhook %q does not work%s", key, webhookFailed.FindStringSubmatch(m)[1], said)
	case policyDenied.MatchString(m):
		return fault.New(fault.Denied, "policy_denied", "%s: ValidatingAdmissionPolicy %q refuses it%s", key, policyDenied.FindStringSubmatch(m)[1], said)
	case code == http.StatusForbidden && (strings.Contains(m, "being terminated") || hasCause(s, "NamespaceTerminating")):
		return fault.New(fault.Unavailable, "namespace_terminating", "%s: namespace %q is being deleted; it can be used again when it is gone", key, key.Namespace)
	case code == http.StatusForbidden && strings.Contains(m, "exceeded quota"):
		return fault.New(fault.Denied, "quota_exceeded", "%s: a resource quota is exceeded%s", key, said)
	case code == http.StatusForbidden && strings.Contains(m, "User "):
		return fault.New(fault.Denied, "forbidden", "%s: the agent's account may not write it%s", key, said).
			WithFix("grant the agent's service account this kind in this namespace, or take the object out of the application")
	case code == http.StatusForbidden, code == http.StatusUnauthorized:
		return fault.New(fault.Denied, "forbidden", "%s: the API server refuses it%s", key, said)
	case code == http.StatusNotFound && s.Details.Kind == "namespaces" && s.Details.Name == key.Namespace && key.Namespace != "":
		return fault.New(fault.Unprocessable, "namespace_missing", "%s: namespace %q does not exist; add it to the application or set the sync option CreateNamespace=true", key, key.Namespace)
	case code == http.StatusNotFound && (s.Kind == "" || strings.Contains(m, "could not find the requested resource")):
		if text := removed(apiVersion, key.Kind); text != "" {
			return fault.New(fault.Unprocessable, "api_removed", "%s: %s", key, text)
		}
		return fault.New(fault.Unprocessable, "kind_unknown", "%s: the cluster does not serve %s as %s", key, key.Kind, apiVersion).
			WithFix("use an API version that the cluster serves, or install the CRD that does")
	case code == http.StatusNotFound:
		return fault.New(fault.NotFound, "not_found", "%s does not exist%s", key, said)
	case code == http.StatusConflict && strings.Contains(m, "UID in precondition"):
		return fault.New(fault.Conflict, "uid_changed", "%s was replaced by another object of the same name", key)
	case code == http.StatusConflict:
		return fault.New(fault.Conflict, "version_conflict", "%s was changed at the same moment%s", key, said)
	case code == http.StatusRequestEntityTooLarge:
		return fault.New(fault.TooLarge, "too_large", "%s is larger than the API server takes%s", key, said)
	case code == http.StatusUnprocessableEntity && immutable(m):
		field := ""
		if len(s.Details.Causes) > 0 {
			field = s.Details.Causes[0].Field
		}
		return fault.New(fault.Unprocessable, "immutable_field", "%s: a field that cannot be changed differs%s; use Replace=true,Force=true or recreate it", key, said).WithField(field)
	case code == http.StatusUnprocessableEntity, code == http.StatusBadRequest,
		code == http.StatusInternalServerError && strings.Contains(m, "field not declared in schema"),
		code == http.StatusInternalServerError && strings.Contains(m, "failed to create typed"):
		e := fault.New(fault.Unprocessable, "schema_invalid", "%s is not valid%s", key, said)
		if len(s.Details.Causes) > 0 {
			e.Field = s.Details.Causes[0].Field
		}
		return e
	case code >= 500:
		return fault.New(fault.Unavailable, "cluster_unavailable", "%s: the API server failed with status %d%s", key, code, said)
	default:
		return fault.New(fault.Upstream, "apply_refused", "%s: the API server answers with status %d%s", key, code, said)
	}
}

func hasCause(s status, reason string) bool {
	for _, c := range s.Details.Causes {
		if c.Reason == reason {
			return true
		}
	}
	return false
}

func immutable(m string) bool {
	for _, part := range []string{"field is immutable", "may not change once set", "Forbidden: updates to", "Forbidden: may not be changed", "is immutable"} {
		if strings.Contains(m, part) {
			return true
		}
	}
	return false
}

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
