package sync

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestClassify(t *testing.T) {
	key := model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
	secret := model.ObjectKey{Kind: "Secret", Namespace: "shop", Name: "db"}
	cases := []struct {
		name string
		code int
		body string
		key  model.ObjectKey
		want string
		kind fault.Kind
		says string
	}{
		{"immutable", 422, `{"kind":"Status","message":"Deployment.apps \"web\" is invalid: spec.selector: Invalid value: {}: field is immutable","reason":"Invalid","details":{"causes":[{"field":"spec.selector"}]}}`, key, "immutable_field", fault.Unprocessable, "Replace=true"},
		{"statefulset", 422, `{"kind":"Status","message":"StatefulSet.apps \"x\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden"}`, key, "immutable_field", fault.Unprocessable, ""},
		{"invalid", 422, `{"kind":"Status","message":"spec.replicas: Invalid value: -1: must be greater than or equal to 0","details":{"causes":[{"field":"spec.replicas"}]}}`, key, "schema_invalid", fault.Unprocessable, "must be greater"},
		{"undeclared field", 500, `{"kind":"Status","message":"failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema"}`, key, "schema_invalid", fault.Unprocessable, ".spec.foo"},
		{"types of the server", 500, `{"kind":"Status","message":"failed to create typed patch object: .data.w: expected string, got &value.valueUnstructured{Value:true}"}`, key, "schema_invalid", fault.Unprocessable, "expected string, got true"},
		{"strict decoding", 400, `{"kind":"Status","message":"strict decoding error: unknown field \"spec.selectr\""}`, key, "schema_invalid", fault.Unprocessable, "selectr"},
		{"forbidden", 403, `{"kind":"Status","message":"deployments.apps \"web\" is forbidden: User \"system:serviceaccount:a:b\" cannot patch resource","reason":"Forbidden"}`, key, "forbidden", fault.Denied, "account"},
		{"quota", 403, `{"kind":"Status","message":"pods \"x\" is forbidden: exceeded quota: q"}`, key, "quota_exceeded", fault.Denied, "quota"},
		{"terminating", 403, `{"kind":"Status","message":"x is forbidden: unable to create new content in namespace shop because it is being terminated","details":{"causes":[{"reason":"NamespaceTerminating"}]}}`, key, "namespace_terminating", fault.Unavailable, "shop"},
		{"namespace", 404, `{"kind":"Status","message":"namespaces \"shop\" not found","details":{"kind":"namespaces","name":"shop"}}`, key, "namespace_missing", fault.Unprocessable, "CreateNamespace=true"},
		{"no such path", 404, `404 page not found`, key, "kind_unknown", fault.Unprocessable, "apps/v1"},
		{"no such resource", 404, `{"kind":"Status","message":"the server could not find the requested resource"}`, key, "kind_unknown", fault.Unprocessable, ""},
		{"no such object", 404, `{"kind":"Status","message":"deployments.apps \"web\" not found","details":{"kind":"deployments","name":"web"}}`, key, "not_found", fault.NotFound, ""},
		{"webhook denies", 400, `{"kind":"Status","message":"admission webhook \"check.acme.io\" denied the request: no latest tags"}`, key, "webhook_denied", fault.Denied, "no latest tags"},
		{"webhook down", 500, `{"kind":"Status","message":"Internal error occurred: failed calling webhook \"check.acme.io\": connect: refused"}`, key, "webhook_failed", fault.Upstream, "check.acme.io"},
		{"admission policy", 422, `{"kind":"Status","message":"x is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"}`, key, "policy_denied", fault.Denied, `"p"`},
		{"uid", 409, `{"kind":"Status","message":"Precondition failed: UID in precondition: a, UID in object meta: b"}`, key, "uid_changed", fault.Conflict, ""},
		{"conflict", 409, `{"kind":"Status","message":"the object has been modified"}`, key, "version_conflict", fault.Conflict, ""},
		{"too large", 413, ``, key, "too_large", fault.TooLarge, ""},
		{"disruption budget", 429, `{"kind":"Status","reason":"TooManyRequests","message":"Cannot evict pod as it would violate the pod's disruption budget."}`, key, "disruption_budget", fault.Precondition, ""},
		{"broken", 503, `<html>oops</html>`, key, "cluster_unavailable", fault.Unavailable, "503"},
		{"teapot", 418, ``, key, "apply_refused", fault.Upstream, "418"},
		{"secret", 422, `{"kind":"Status","message":"Secret \"db\" is invalid: data[p]: Invalid value: \"canary\": illegal base64","details":{"causes":[{"field":"data[p]","message":"canary"}]}}`, secret, "schema_invalid", fault.Unprocessable, "values hidden"},
		{"secret and webhook", 400, `{"kind":"Status","message":"admission webhook \"w\" denied the request: canary"}`, secret, "webhook_denied", fault.Denied, `"w"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := Classify(c.code, "", []byte(c.body), c.key, "apps/v1")
			f := fault.As(err)
			if f.Code != c.want || f.Kind != c.kind || !strings.Contains(f.Message, c.says) {
				t.Errorf("got %s %s: %s", f.Kind, f.Code, f.Message)
			}
			if len(f.Message) > maxMessage {
				t.Errorf("%d bytes", len(f.Message))
			}
			if c.key == secret && strings.Contains(err.Error(), "canary") {
				t.Errorf("a value of a Secret is in %q", err)
			}
		})
	}
	long := Classify(422, "", []byte(`{"kind":"Status","message":"`+strings.Repeat("spec.é ", 500)+`"}`), key, "apps/v1")
	if m := fault.As(long).Message; len(m) > maxMessage || !strings.HasSuffix(m, "…") {
		t.Errorf("a long message has %d bytes", len(m))
	}
	var later *RetryAfter
	if err := Classify(429, "3", nil, key, "apps/v1"); !errors.As(err, &later) || later.After != 3*time.Second || !fault.Is(err, fault.RateLimited) {
		t.Errorf("throttled: %v", err)
	}
}

func TestClassifyNamesWhatReplacesARemovedAPI(t *testing.T) {
	key := model.ObjectKey{Group: "autoscaling", Kind: "HorizontalPodAutoscaler", Namespace: "shop", Name: "web"}
	f := fault.As(Classify(404, "", []byte("404 page not found"), key, "autoscaling/v2beta2"))
	if f.Code != "api_removed" || !strings.Contains(f.Message, "removed in Kubernetes 1.26; use autoscaling/v2") {
		t.Errorf("%s: %s", f.Code, f.Message)
	}
}
