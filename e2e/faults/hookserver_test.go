package faults

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"encoding/pem"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// hookServer is a webhook server as people run them: admission and conversion
// over HTTPS with an own certificate.
type hookServer struct {
	*httptest.Server

	mu    sync.Mutex
	admit func(ctx context.Context, r admission) verdict
	// broken: every request fails with 500.
	broken bool
	// reviews counts the admission requests.
	reviews int
}

// admission is what an AdmissionReview asks.
type admission struct {
	UID       string
	Operation string // CREATE, UPDATE, DELETE
	Name      string
	Namespace string
	DryRun    bool
	Object    map[string]any
	OldObject map[string]any
}

// verdict is the answer; patch is a JSON patch.
type verdict struct {
	denied string // why, "" for allowed
	patch  string
}

var allowed = verdict{}

func startHookServer(t *testing.T) *hookServer {
	h := &hookServer{admit: func(context.Context, admission) verdict { return allowed }}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(h.serve))
	h.Server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	h.StartTLS()
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
	})
	return h
}

func (h *hookServer) decide(admit func(context.Context, admission) verdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.admit = admit
}

func (h *hookServer) breakDown(broken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = broken
}

func (h *hookServer) reviewed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reviews
}

func (h *hookServer) serve(w http.ResponseWriter, req *http.Request) {
	h.mu.Lock()
	admit, broken := h.admit, h.broken
	h.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	if err != nil || broken {
		http.Error(w, "the webhook has broken down", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if req.URL.Path == "/convert" {
		w.Write(converted(body))
		return
	}
	h.mu.Lock()
	h.reviews++
	h.mu.Unlock()
	var review struct{ Request admission }
	if err := json.Unmarshal(body, &review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := admit(req.Context(), review.Request)
	response := map[string]any{"uid": review.Request.UID, "allowed": v.denied == ""}
	if v.denied != "" {
		response["status"] = map[string]any{"message": v.denied, "code": 403}
	}
	if v.patch != "" {
		response["patchType"], response["patch"] = "JSONPatch", []byte(v.patch)
	}
	json.NewEncoder(w).Encode(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

// converted gives every object the version that is asked for.
func converted(body []byte) []byte {
	var review struct {
		Request struct {
			UID               string
			DesiredAPIVersion string
			Objects           []map[string]any
		}
	}
	if err := json.Unmarshal(body, &review); err != nil {
		return []byte("{}")
	}
	for _, o := range review.Request.Objects {
		o["apiVersion"] = review.Request.DesiredAPIVersion
	}
	b, _ := json.Marshal(map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": map[string]any{
		"uid": review.Request.UID, "convertedObjects": review.Request.Objects, "result": map[string]any{"status": "Success"},
	}})
	return b
}

// client is how the API server reaches the webhook at a path.
func (h *hookServer) client(path string) map[string]any {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})
	return map[string]any{"url": h.URL + path, "caBundle": ca}
}

// admission registers the webhook for objects of a namespace: kind is
// ValidatingWebhookConfiguration or MutatingWebhookConfiguration.
func (h *hookServer) register(s *ship, kind, name, namespace, resource string, operations ...string) {
	s.t.Helper()
	resources := map[string]string{"ValidatingWebhookConfiguration": "validatingwebhookconfigurations", "MutatingWebhookConfiguration": "mutatingwebhookconfigurations"}
	gvr := schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: resources[kind]}
	ops := make([]any, len(operations))
	for i, o := range operations {
		ops[i] = o
	}
	s.create(gvr, "", map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": map[string]any{"name": name},
		"webhooks": []any{map[string]any{
			"name": name, "clientConfig": h.client("/admit"), "failurePolicy": "Fail", "timeoutSeconds": 2, "sideEffects": "None",
			"admissionReviewVersions": []any{"v1"},
			"namespaceSelector":       map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": namespace}},
			"rules":                   []any{map[string]any{"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "resources": []any{resource}, "operations": ops}},
		}},
	})
	s.t.Cleanup(func() {
		err := s.world.hand.Resource(gvr).Delete(context.Background(), name, metav1.DeleteOptions{})
		if err != nil {
			s.t.Errorf("the webhook configuration %s stays: %v", name, err)
		}
	})
	// The API server takes a moment to hear of it.
	s.eventually("the API server calls the webhook", 30*time.Second, func() bool {
		before := h.reviewed()
		probe := fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"metadata":{"name":"probe","namespace":%q}}`, map[string]string{"configmaps": "ConfigMap", "secrets": "Secret"}[resource], namespace)
		var o map[string]any
		if err := json.Unmarshal([]byte(probe), &o); err != nil {
			s.t.Fatal(err)
		}
		in := s.world.hand.Resource(schema.GroupVersionResource{Version: "v1", Resource: resource}).Namespace(namespace)
		// Some are registered for deletes only, and are probed by one.
		_, _ = in.Create(s.ctx, unstructuredOf(o), metav1.CreateOptions{})
		_ = in.Delete(s.ctx, "probe", metav1.DeleteOptions{})
		return h.reviewed() > before
	})
}
