package sync

import (
	"errors"
	"net/http"
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
		{"uid in a deletion", 409, `{"kind":"Status","message":"Operation cannot be fulfilled on Deployment.apps \"web\": the UID in the precondition (a) does not match the UID in record (b). The object might have been deleted and then recreated","reason":"Conflict"}`, key, "uid_changed", fault.Conflict, ""},
		{"uid in a patch", 422, `{"kind":"Status","message":"Deployment.apps \"web\" is invalid: metadata.uid: Invalid value: \"a\": field is immutable","reason":"Invalid","details":{"causes":[{"reason":"FieldValueInvalid","message":"Invalid value: \"a\": field is immutable","field":"metadata.uid"}]}}`, key, "uid_changed", fault.Conflict, ""},
		{"exists", 409, `{"kind":"Status","message":"deployments.apps \"web\" already exists","reason":"AlreadyExists","details":{"name":"web","group":"apps","kind":"deployments"}}`, key, "already_exists", fault.Conflict, ""},
		{"exists for a while", 409, `{"kind":"Status","message":"object is being deleted: deployments.apps \"web\" already exists","reason":"AlreadyExists"}`, key, "still_deleting", fault.Unavailable, ""},
		{"quota race", 409, `{"kind":"Status","message":"Operation cannot be fulfilled on resourcequotas \"q\": the object has been modified; please apply your changes to the latest version and try again","reason":"Conflict","details":{"name":"q","kind":"resourcequotas"}}`, key, "quota_conflict", fault.Unavailable, "shop"},
		{"quota that is itself in conflict", 409, `{"kind":"Status","message":"Operation cannot be fulfilled on resourcequotas \"q\": the object has been modified","reason":"Conflict","details":{"name":"q","kind":"resourcequotas"}}`, model.ObjectKey{Kind: "ResourceQuota", Namespace: "shop", Name: "q"}, "version_conflict", fault.Conflict, ""},
		{"quota without numbers", 403, `{"kind":"Status","message":"pods \"x\" is forbidden: failed quota: q: must specify limits.cpu","reason":"Forbidden"}`, key, "quota_exceeded", fault.Denied, "must specify limits.cpu"},
		{"pod security", 403, `{"kind":"Status","message":"pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false","reason":"Forbidden","details":{"name":"a","kind":"pods"}}`, key, "pod_security_denied", fault.Denied, "restricted:latest"},
		{"role reference", 422, `{"kind":"Status","message":"RoleBinding.rbac.authorization.k8s.io \"a\" is invalid: roleRef: Invalid value: {}: cannot change roleRef","details":{"causes":[{"message":"Invalid value: {}: cannot change roleRef","field":"roleRef"}]}}`, key, "immutable_field", fault.Unprocessable, ""},
		{"storage class", 422, `{"kind":"Status","message":"StorageClass.storage.k8s.io \"a\" is invalid: parameters: Forbidden: updates to parameters are forbidden."}`, key, "immutable_field", fault.Unprocessable, ""},
		{"cluster address", 422, `{"kind":"Status","message":"Service \"a\" is invalid: spec.clusterIPs[0]: Invalid value: []string{\"None\"}: may not change once set"}`, key, "immutable_field", fault.Unprocessable, ""},
		{"pod", 422, `{"kind":"Status","message":"Pod \"a\" is invalid: spec: Forbidden: pod updates may not change fields other than spec.containers[*].image"}`, key, "immutable_field", fault.Unprocessable, ""},
		{"priority class", 422, `{"kind":"Status","message":"PriorityClass.scheduling.k8s.io \"a\" is invalid: value: Forbidden: may not be changed in an update."}`, key, "immutable_field", fault.Unprocessable, ""},
		{"a rule of a CRD", 422, `{"kind":"Status","message":"Boat.example.com \"a\" is invalid: spec: Invalid value: size is immutable"}`, key, "immutable_field", fault.Unprocessable, ""},
		{"undeletable words", 422, `{"kind":"Status","message":"x is invalid: spec.mode: Invalid value: may not changeling"}`, key, "schema_invalid", fault.Unprocessable, ""},
		{"base64", 500, `{"kind":"Status","message":"failed to convert new object (a/s; /v1, Kind=Secret) to proper version: unable to convert unstructured object to /v1, Kind=Secret: error decoding from json: illegal base64 data at input byte 3"}`, secret, "schema_invalid", fault.Unprocessable, "values hidden"},
		{"webhook without a word", 400, `{"kind":"Status","message":"admission webhook \"check.acme.io\" denied the request without explanation"}`, key, "webhook_denied", fault.Denied, "check.acme.io"},
		{"webhook that is too busy", 429, `{"kind":"Status","message":"admission webhook \"check.acme.io\" denied the request: slow down","reason":"TooManyRequests"}`, key, "webhook_denied", fault.Denied, "slow down"},
		{"webhook that denies as a conflict", 409, `{"kind":"Status","message":"admission webhook \"check.acme.io\" denied the request: taken","reason":"AlreadyExists"}`, key, "webhook_denied", fault.Denied, "taken"},
		{"webhook timed out", 500, `{"kind":"Status","message":"Internal error occurred: failed calling webhook \"check.acme.io\": failed to call webhook: Post \"https://check.acme.svc:443/?timeout=10s\": context deadline exceeded","reason":"InternalError","details":{"causes":[{"message":"failed calling webhook"}]}}`, key, "webhook_failed", fault.Upstream, "deadline exceeded"},
		{"webhook and dry run", 400, `{"kind":"Status","message":"admission webhook \"check.acme.io\" does not support dry run","reason":"BadRequest"}`, key, "dry_run_unsupported", fault.Upstream, "check.acme.io"},
		{"conversion webhook", 500, `{"kind":"Status","message":"conversion webhook for boats.example.com/v1, Kind=Boat failed: Post \"https://boats.harbour.svc:443/convert?timeout=30s\": dial tcp 10.0.0.9:443: connect: connection refused"}`, model.ObjectKey{Group: "boats.example.com", Kind: "Boat", Name: "b"}, "conversion_failed", fault.Upstream, "boats.harbour.svc:443"},
		{"conversion webhook within an apply", 500, `{"kind":"Status","message":"failed to convert new object (a/b; boats.example.com/v2, Kind=Boat) to proper version: conversion webhook for boats.example.com/v2, Kind=Boat failed, no objects returned"}`, model.ObjectKey{Group: "boats.example.com", Kind: "Boat", Name: "b"}, "conversion_failed", fault.Upstream, "boats.example.com/Boat"},
		{"mutating policy", 422, `{"kind":"Status","message":"policy 'm' with binding 'b' denied request: no such expression"}`, key, "policy_denied", fault.Denied, `"m"`},
		{"too large for etcd", 500, `{"kind":"Status","message":"etcdserver: request is too large"}`, key, "too_large", fault.TooLarge, ""},
		{"no account", 401, `{"kind":"Status","message":"Unauthorized","reason":"Unauthorized"}`, key, "forbidden", fault.Denied, "does not know"},
		{"eviction", 429, `{"kind":"Status","message":"Cannot evict pod as it would violate the pod's disruption budget.","reason":"TooManyRequests","details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget web needs 2 healthy pods and has 2 currently"}]},"code":429}`, key, "disruption_budget", fault.Precondition, ""},
		{"secret", 422, `{"kind":"Status","message":"Secret \"db\" is invalid: data[p]: Invalid value: \"canary\": illegal base64","details":{"causes":[{"field":"data[p]","message":"canary"}]}}`, secret, "schema_invalid", fault.Unprocessable, "values hidden"},
		{"secret and webhook", 400, `{"kind":"Status","message":"admission webhook \"w\" denied the request: canary"}`, secret, "webhook_denied", fault.Denied, `"w"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := Classify(c.code, 0, []byte(c.body), c.key, "apps/v1")
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
	long := Classify(422, 0, []byte(`{"kind":"Status","message":"`+strings.Repeat("spec.é ", 500)+`"}`), key, "apps/v1")
	if m := fault.As(long).Message; len(m) > maxMessage || !strings.HasSuffix(m, "…") {
		t.Errorf("a long message has %d bytes", len(m))
	}
}

func TestClassifyKeepsWhenToComeAgain(t *testing.T) {
	key := model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: "web"}
	for _, c := range []struct {
		code  int
		after time.Duration
		kind  fault.Kind
		later bool
		alone bool
	}{
		{429, 3 * time.Second, fault.RateLimited, true, false},
		{429, 0, fault.RateLimited, true, false},
		{503, 3 * time.Second, fault.Unavailable, true, true},
		{503, 0, fault.Unavailable, false, false},
		{500, 3 * time.Second, fault.Unavailable, false, false},
		{404, 3 * time.Second, fault.Unprocessable, false, false},
	} {
		err := Classify(c.code, c.after, nil, key, "v1")
		var later *RetryAfter
		if errors.As(err, &later) != c.later || !fault.Is(err, c.kind) || c.later && (later.After != c.after || later.Alone != c.alone) {
			t.Errorf("%d after %s: %+v", c.code, c.after, err)
		}
	}
}

func TestRetryAfterHeader(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	ahead := now.Add(time.Hour)
	for _, c := range []struct {
		after, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"3", "", 3 * time.Second},
		{" 3 ", "", 3 * time.Second},
		{"0", "", 0},
		{"-5", "", 0},
		{"99999999999", "", 0},
		{"soon", "", 0},
		{"Tue, 10 Mar 2026 12:00:07 GMT", "", 7 * time.Second},
		{"Tuesday, 10-Mar-26 12:00:07 GMT", "", 7 * time.Second},
		{"Tue Mar 10 12:00:07 2026", "", 7 * time.Second},
		{"Tue, 10 Mar 2026 11:00:00 GMT", "", 0},
		{ahead.Add(4 * time.Second).Format(http.TimeFormat), ahead.Format(http.TimeFormat), 4 * time.Second},
		{ahead.Add(4 * time.Second).Format(http.TimeFormat), "nonsense", time.Hour + 4*time.Second},
	} {
		h := http.Header{}
		h.Set("Retry-After", c.after)
		h.Set("Date", c.date)
		if got := retryAfter(h, now); got != c.want {
			t.Errorf("%q at %q: %s, want %s", c.after, c.date, got, c.want)
		}
	}
}

func TestStillDeletingSaysWhoKeepsIt(t *testing.T) {
	claim := model.ObjectKey{Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "data"}
	ns := model.ObjectKey{Kind: "Namespace", Name: "shop"}
	for _, c := range []struct {
		key  model.ObjectKey
		body string
		says []string
	}{
		{claim, `{"metadata":{"finalizers":["kubernetes.io/pvc-protection"]}}`, []string{"not gone after 1m30s", "the finalizer kubernetes.io/pvc-protection"}},
		{claim, `{"metadata":{"finalizers":["a","b","c","d"]}}`, []string{"the finalizers a, b, c"}},
		{claim, `{"metadata":{}}`, []string{"is not gone after"}},
		{claim, `nonsense`, []string{"is not gone after"}},
		{claim, `{"metadata":{"finalizers":["` + strings.Repeat("x", 1000) + `"]}}`, []string{"…"}},
		{ns, `{"spec":{"finalizers":["kubernetes"]},"status":{"conditions":[{"type":"NamespaceDeletionDiscoveryFailure","status":"False","message":"ok"},
			{"type":"NamespaceFinalizersRemaining","status":"True","message":"Some content in the namespace has finalizers remaining: example.com/x in 1 resource instances"}]}}`, []string{"example.com/x in 1 resource"}},
	} {
		f := StillDeleting(c.key, []byte(c.body), 90*time.Second)
		for _, want := range c.says {
			if !strings.Contains(f.Message, want) {
				t.Errorf("%s: %s, want %q", c.body, f.Message, want)
			}
		}
		if f.Code != "still_deleting" || f.Kind != fault.Unavailable || len(f.Message) > maxMessage || strings.Contains(f.Message, "ok") {
			t.Errorf("%+v", f)
		}
	}
}

func TestClassifyNamesWhatReplacesARemovedAPI(t *testing.T) {
	key := model.ObjectKey{Group: "autoscaling", Kind: "HorizontalPodAutoscaler", Namespace: "shop", Name: "web"}
	f := fault.As(Classify(404, 0, []byte("404 page not found"), key, "autoscaling/v2beta2"))
	if f.Code != "api_removed" || !strings.Contains(f.Message, "removed in Kubernetes 1.26; use autoscaling/v2") {
		t.Errorf("%s: %s", f.Code, f.Message)
	}
}

// Whatever something between us and the API server answers, it is an error that
// people can be shown.
func FuzzClassify(f *testing.F) {
	for _, body := range []string{"", "<html>", `{"kind":"Status","message":"admission webhook \"a\" denied the request: x"}`, `{"kind":"Status","reason":"AlreadyExists","message":"object is being deleted: x"}`,
		`{"kind":"Status","details":{"causes":[{"field":"metadata.uid"}]}}`, `{"kind":"Status","message":"conversion webhook for a/v1, Kind=B failed: Post \"https://x/"}`} {
		for _, code := range []int{400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 0} {
			f.Add(code, []byte(body), "apps", "Deployment")
		}
	}
	f.Fuzz(func(t *testing.T, code int, body []byte, group, kind string) {
		err := Classify(code, time.Second, body, model.ObjectKey{Group: clip(group, 60), Kind: clip(kind, 60), Namespace: "shop", Name: "web"}, "v1")
		e := fault.As(err)
		if e.Kind == fault.Internal || e.Code == "" || e.Message == "" || len(e.Message) > maxMessage {
			t.Errorf("%+v", e)
		}
	})
}
