package sync

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
)

// webhooks answer admission reviews as the object's annotation "ask" wants, or
// that of the object to be deleted.
func startWebhooks(t *testing.T) (url, caBundle string) {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Request struct {
				UID, Operation    string
				Object, OldObject struct {
					Metadata struct{ Annotations map[string]string }
				}
			}
		}
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &review); err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		ask := review.Request.Object.Metadata.Annotations["ask"]
		if review.Request.Operation == "DELETE" {
			ask = review.Request.OldObject.Metadata.Annotations["ask-at-deletion"]
		}
		response := map[string]any{"uid": review.Request.UID, "allowed": ask == ""}
		switch ask {
		case "deny":
			response["status"] = map[string]any{"message": "no latest tags"}
		case "deny silently":
		case "deny with 429":
			response["status"] = map[string]any{"code": 429, "message": "come back", "reason": "TooManyRequests"}
		case "deny with 409":
			response["status"] = map[string]any{"code": 409, "reason": "AlreadyExists", "message": "there is one"}
		case "hang":
			<-r.Context().Done()
			return
		case "fail":
			http.Error(w, "boom", 500)
			return
		case "nonsense":
			io.WriteString(w, "<html>")
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
	}))
	t.Cleanup(srv.CloseClientConnections)
	t.Cleanup(srv.Close)
	bundle, err := json.Marshal(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	if err != nil {
		t.Fatal(err)
	}
	return srv.URL, string(bundle)
}

// What a real API server answers in trouble is told from each other.
func TestRealAnswers(t *testing.T) {
	c := startCluster(t)
	url, ca := startWebhooks(t)

	// Below a webhook for service accounts is made that lets nothing pass: what
	// pods need has to be there before.
	eventually(t, time.Minute, "the namespace has its service account", func() bool {
		code, _ := c.try("GET", "/api/v1/namespaces/"+c.ns+"/serviceaccounts/default", "", "")
		return code == 200
	})
	hook := func(kind, name, at, kinds string) {
		c.do("POST", "/apis/admissionregistration.k8s.io/v1/"+strings.ToLower(kind)+"webhookconfigurations", `{"metadata":{"name":"`+name+`-`+c.ns+`"},"webhooks":[{"name":"`+name+`.example.com",
			"clientConfig":{"url":"`+at+`","caBundle":`+ca+`},"rules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE","UPDATE","DELETE"],"resources":["`+kinds+`"],"scope":"Namespaced"}],
			"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"`+c.ns+`"}},"failurePolicy":"Fail","sideEffects":"None","timeoutSeconds":1,"admissionReviewVersions":["v1"]}]}`)
		t.Cleanup(func() {
			c.try("DELETE", "/apis/admissionregistration.k8s.io/v1/"+strings.ToLower(kind)+"webhookconfigurations/"+name+"-"+c.ns, "", "")
		})
	}
	hook("Validating", "check", url, "configmaps")
	hook("Mutating", "change", url, "secrets")
	hook("Mutating", "gone", "https://127.0.0.1:1/", "serviceaccounts")
	hook("Mutating", "untrusted", c.cp.URL(), "limitranges")
	c.do("POST", "/api/v1/namespaces/"+c.ns+"/resourcequotas", `{"metadata":{"name":"few"},"spec":{"hard":{"count/endpoints":"0"}}}`)
	c.do("PATCH", "/api/v1/namespaces/"+c.ns, `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`)
	c.do("POST", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", `{"metadata":{"name":"p-`+c.ns+`"},"spec":{"matchConstraints":{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"`+c.ns+`"}},
		"resourceRules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE"],"resources":["services"]}]},"validations":[{"expression":"false","message":"no services here"}]}}`)
	c.do("POST", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings", `{"metadata":{"name":"p-`+c.ns+`"},"spec":{"policyName":"p-`+c.ns+`","validationActions":["Deny"]}}`)
	group := c.ns + ".example.com"
	c.do("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", `{"metadata":{"name":"boats.`+group+`"},"spec":{"group":"`+group+`","scope":"Namespaced","names":{"kind":"Boat","plural":"boats"},
		"conversion":{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"],"clientConfig":{"url":"https://127.0.0.1:1/convert","caBundle":`+ca+`}}},
		"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{"size":{"type":"integer"},"text":{"type":"string"}},
			"x-kubernetes-validations":[{"rule":"!has(oldSelf.size) || self.size == oldSelf.size","message":"size is immutable"}]}}}}},
		{"name":"v2","served":true,"storage":false,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`)
	t.Cleanup(func() {
		c.try("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boats."+group, "", "")
	})
	boats := served(group, "v1", "Boat", "boats", true)
	boats2 := boats
	boats2.Version = "v2"
	accounts := served("", "v1", "ServiceAccount", "serviceaccounts", true)
	limits := served("", "v1", "LimitRange", "limitranges", true)
	endpoints := served("", "v1", "Endpoints", "endpoints", true)

	// Everything has to be in force first.
	eventually(t, time.Minute, "the CRD is served", func() bool {
		code, _ := c.try("GET", "/apis/"+group+"/v1/boats", "", "")
		return code == 200
	})
	dryRunFails := func(k live.Kind, rest, code string) {
		w := c.write(k, "probe", rest)
		w.DryRun = true
		eventually(t, time.Minute, code, func() bool {
			_, err := c.kube.Apply(t.Context(), w)
			return fault.HasCode(err, code)
		})
	}
	const service = `"spec":{"ports":[{"port":80}]}`
	const pod = `"spec":{"containers":[{"name":"a","image":"a"}]}`
	dryRunFails(configMaps, `"metadata":{"annotations":{"ask":"deny"}}`, "webhook_denied")
	dryRunFails(secrets, `"metadata":{"annotations":{"ask":"deny"}}`, "webhook_denied")
	dryRunFails(accounts, "", "webhook_failed")
	dryRunFails(limits, `"spec":{"limits":[]}`, "webhook_failed")
	dryRunFails(services, service, "policy_denied")
	dryRunFails(pods, pod, "pod_security_denied")
	dryRunFails(endpoints, "", "quota_exceeded")

	ask := func(what string) string { return `"metadata":{"annotations":{"ask":"` + what + `"}}` }
	for _, k := range []struct {
		name string
		w    Write
		code string
		kind fault.Kind
		says string
	}{
		{"a webhook denies", c.write(configMaps, "a", ask("deny")), "webhook_denied", fault.Denied, "no latest tags"},
		{"a webhook denies without a word", c.write(configMaps, "a", ask("deny silently")), "webhook_denied", fault.Denied, "check.example.com"},
		{"a webhook denies with 429", c.write(configMaps, "a", ask("deny with 429")), "webhook_denied", fault.Denied, "come back"},
		{"a webhook denies with 409", c.write(configMaps, "a", ask("deny with 409")), "webhook_denied", fault.Denied, "there is one"},
		{"a webhook hangs", c.write(configMaps, "a", ask("hang")), "webhook_failed", fault.Upstream, "deadline exceeded"},
		{"a webhook fails", c.write(configMaps, "a", ask("fail")), "webhook_failed", fault.Upstream, "check.example.com"},
		{"a webhook says nonsense", c.write(configMaps, "a", ask("nonsense")), "webhook_failed", fault.Upstream, "check.example.com"},
		{"a mutating webhook hangs", c.write(secrets, "a", ask("hang")), "webhook_failed", fault.Upstream, "change.example.com"},
		{"a webhook is not there", c.write(accounts, "a", ""), "webhook_failed", fault.Upstream, "gone.example.com"},
		{"a webhook has another certificate", c.write(limits, "a", `"spec":{"limits":[]}`), "webhook_failed", fault.Upstream, "untrusted.example.com"},
		{"an admission policy", c.write(services, "a", service), "policy_denied", fault.Denied, "no services here"},
		{"pod security", c.write(pods, "a", pod), "pod_security_denied", fault.Denied, "restricted"},
		{"a quota", c.write(endpoints, "a", ""), "quota_exceeded", fault.Denied, "few"},
		{"a conversion webhook", c.write(boats2, "converted", `"spec":{"size":1}`), "conversion_failed", fault.Upstream, "127.0.0.1:1"},
		{"a type", c.write(boats, "a", `"spec":{"size":"big"}`), "schema_invalid", fault.Unprocessable, "size"},
		{"an unknown field", c.write(boats, "a", `"spec":{"length":1}`), "schema_invalid", fault.Unprocessable, "length"},
		{"an unknown field of a core kind", c.write(services, "a", `"spec":{"prots":[]}`), "schema_invalid", fault.Unprocessable, "prots"},
		{"a value", c.write(deployments, "a", `"spec":{"replicas":-1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"a"}]}}}`), "schema_invalid", fault.Unprocessable, "replicas"},
		{"a kind", c.write(served(group, "v1", "Ship", "ships", true), "a", ""), "kind_unknown", fault.Unprocessable, "Ship"},
		{"a version", c.write(served(group, "v9", "Boat", "boats", true), "a", ""), "kind_unknown", fault.Unprocessable, "v9"},
		{"a group", c.write(served("no.such.group", "v1", "Boat", "boats", true), "a", ""), "kind_unknown", fault.Unprocessable, "no.such.group"},
		{"an API of the past", c.write(served("autoscaling", "v2beta2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true), "a", ""), "api_removed", fault.Unprocessable, "autoscaling/v2"},
		{"a size that the server refuses", c.write(boats, "a", `"spec":{"text":"`+strings.Repeat("x", 4<<20)+`"}`), "too_large", fault.TooLarge, ""},
		{"a size that etcd refuses", c.write(boats, "a", `"spec":{"text":"`+strings.Repeat("x", 2<<20)+`"}`), "too_large", fault.TooLarge, ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			_, err := c.kube.Apply(t.Context(), k.w)
			f := fault.As(err)
			if f == nil || f.Code != k.code || f.Kind != k.kind || !strings.Contains(f.Message, k.says) {
				t.Errorf("%+v", f)
			}
			if f != nil && len(f.Message) > maxMessage {
				t.Errorf("%d bytes", len(f.Message))
			}
		})
	}

	t.Run("a rule of a CRD", func(t *testing.T) {
		c.apply(c.write(boats, "rule", `"spec":{"size":1}`))
		_, err := c.kube.Apply(t.Context(), c.write(boats, "rule", `"spec":{"size":2}`))
		wantCode(t, err, "immutable_field")
		// An object that is stored in another version is not readable in this one.
		_, err = c.kube.Get(t.Context(), boats2, "v2", c.key(boats2, "rule"))
		wantCode(t, err, "conversion_failed")
		err = c.kube.Delete(t.Context(), Removal{Kind: boats2, Key: c.key(boats2, "rule"), UID: at2(c.get(boats, "rule"), "metadata", "uid"), Operation: "op"})
		wantCode(t, err, "conversion_failed")
		if c.get(boats, "rule") == nil {
			t.Error("it was deleted nevertheless")
		}
	})
	t.Run("a webhook denies a deletion", func(t *testing.T) {
		w := c.write(configMaps, "keep", `"metadata":{"annotations":{"ask-at-deletion":"deny"}}`)
		c.apply(w)
		w = c.seen(w)
		err := c.kube.Delete(t.Context(), Removal{Kind: configMaps, Key: w.Key, UID: w.UID, Operation: "op"})
		wantCode(t, err, "webhook_denied")
		c.do("PATCH", objectPath(configMaps, "v1", w.Key), `{"metadata":{"annotations":{"ask-at-deletion":"hang"}}}`)
		err = c.kube.Delete(t.Context(), Removal{Kind: configMaps, Key: w.Key, UID: w.UID, Operation: "op"})
		wantCode(t, err, "webhook_failed")
		c.do("PATCH", objectPath(configMaps, "v1", w.Key), `{"metadata":{"annotations":{"ask-at-deletion":null}}}`)
	})
	t.Run("values of a Secret stay here", func(t *testing.T) {
		_, err := c.kube.Apply(t.Context(), c.write(secrets, "s", `"data":{"p":"not base64: canary"}`))
		if f := wantCode(t, err, "schema_invalid"); strings.Contains(f.Error(), "canary") {
			t.Errorf("%v", f)
		}
	})
	t.Run("an account without rights", func(t *testing.T) {
		inner := *c.kube.Kube
		k := ownKube{&inner}
		k.client = intercept(c.client, func(r *http.Request) { r.Header.Set("Impersonate-User", "nobody") })
		w := c.write(configMaps, "x", "")
		_, err := k.Apply(t.Context(), w)
		if f := wantCode(t, err, "forbidden"); f.Fix == "" {
			t.Errorf("%+v", f)
		}
		wantCode(t, k.Delete(t.Context(), Removal{Kind: configMaps, Key: w.Key, UID: "x"}), "forbidden")
		k.client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			r.Header.Set("Authorization", "Bearer nonsense")
			return anonymous(t).RoundTrip(r)
		})}
		_, err = k.Apply(t.Context(), w)
		wantCode(t, err, "forbidden")
	})
	t.Run("a namespace that is not there", func(t *testing.T) {
		w := c.write(configMaps, "x", "")
		w.Key.Namespace = "no-such-namespace"
		w.Body = []byte(strings.ReplaceAll(string(w.Body), c.ns, w.Key.Namespace))
		_, err := c.kube.Apply(t.Context(), w)
		wantCode(t, err, "namespace_missing")
		_, err = c.kube.Get(t.Context(), configMaps, "v1", w.Key)
		wantCode(t, err, "not_found")
	})
	t.Run("a namespace that is being deleted", func(t *testing.T) {
		other := startCluster(t)
		other.apply(other.write(configMaps, "kept", `"metadata":{"finalizers":["example.com/keeps-it"]}`))
		ns := other.seen(other.write(namespaces, other.ns, ""))
		r := Removal{Kind: namespaces, Key: ns.Key, UID: ns.UID, Operation: "op"}
		for range 2 {
			if err := other.kube.Delete(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		_, err := other.kube.Apply(t.Context(), other.write(configMaps, "new", ""))
		if f := wantCode(t, err, "namespace_terminating"); f.Kind != fault.Unavailable {
			t.Errorf("%+v", f)
		}
		_, err = other.kube.Create(t.Context(), other.write(configMaps, "new", ""))
		wantCode(t, err, "namespace_terminating")
		_, err = other.kube.Create(t.Context(), ns)
		wantCode(t, err, "still_deleting")
		var f *fault.Error
		eventually(t, time.Minute, "the namespace says what keeps it", func() bool {
			body, err := other.kube.Get(t.Context(), namespaces, "v1", ns.Key)
			if err != nil {
				t.Fatal(err)
			}
			f = StillDeleting(ns.Key, body, 90*time.Second)
			return strings.Contains(f.Message, "example.com/keeps-it")
		})
		if f.Code != "still_deleting" || len(f.Message) > maxMessage {
			t.Errorf("%+v", f)
		}
		other.do("PATCH", objectPath(configMaps, "v1", other.key(configMaps, "kept")), `{"metadata":{"finalizers":null}}`)
	})
	t.Run("another object of the name", func(t *testing.T) {
		w := c.write(configMaps, "tracked", `"metadata":{"annotations":{"argocd.argoproj.io/tracking-id":"x"}}`)
		c.apply(w)
		w = c.seen(w)
		if err := c.kube.Release(t.Context(), Release{Kind: configMaps, Key: w.Key, UID: "another", Operation: "op"}); err != nil {
			t.Errorf("another uid: %v", err)
		}
		if at2(c.get(configMaps, "tracked"), "metadata", "annotations", "argocd.argoproj.io/tracking-id") != "x" {
			t.Error("another object was released")
		}
		if err := c.kube.Release(t.Context(), Release{Kind: configMaps, Key: w.Key, UID: w.UID, Operation: "op"}); err != nil {
			t.Fatal(err)
		}
		if o := c.get(configMaps, "tracked"); at1(o, "metadata", "annotations", "argocd.argoproj.io/tracking-id") != nil {
			t.Errorf("%v", o)
		}
	})
}

func anonymous(t *testing.T) http.RoundTripper {
	t.Helper()
	plane.Lock()
	defer plane.Unlock()
	cfg := plane.cp.RESTConfig()
	cfg.BearerToken, cfg.CertData, cfg.KeyData = "", nil, nil
	rt, err := rest.TransportFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}
