package kill

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/hawser-dev/hawser/shared/model"
)

// AuditPolicy has the API server record what the rules need: writes with their
// answers, except those of the cluster's own controllers about anything but
// the status of what rests.
const AuditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
omitManagedFields: true
rules:
- level: None
  verbs: [get, list, watch]
- level: None
  resources: [{group: "", resources: [events, pods, nodes, serviceaccounts/token]}, {group: "authorization.k8s.io"}, {group: "authentication.k8s.io"}]
- level: RequestResponse
  resources: [{group: apps, resources: [deployments, deployments/status]}, {group: batch, resources: [jobs, jobs/status]}, {group: "", resources: [configmaps]}]
  verbs: [create, update, patch]
- level: Request
  verbs: [delete, deletecollection]
- level: RequestResponse
  users: [%s]
- level: Metadata
`

// audited is the part of an audit.k8s.io/v1 Event that is used.
type audited struct {
	Stage          string
	Verb           string
	RequestURI     string
	User           struct{ Username string }
	UserAgent      string
	ObjectRef      *struct{ Resource, Namespace, Name, APIGroup, Subresource string }
	ResponseStatus *struct{ Code int }
	RequestObject  json.RawMessage
	ResponseObject json.RawMessage

	RequestReceivedTimestamp time.Time
}

// Audit is what an audit log holds.
type Audit struct {
	// Requests are all writes, in the order in which they were received; those on
	// one object in the order in which they were stored.
	Requests []Request
	// States are the stored states of journals.
	States []State
}

// State is one stored part of an agent's journal.
type State struct {
	At        time.Time
	Namespace string
	Secret    string
	Records   []json.RawMessage
	// after is the resourceVersion that the write replaced, rv the one that it made;
	// 0 for none. A write without an answer has no rv, and may not have been stored.
	after, rv int64
}

// AuditReader reads an audit log that AuditPolicy has made, forwards. It is for
// one goroutine.
type AuditReader struct {
	path   string
	offset int64
}

// NewAuditReader starts at the first request.
func NewAuditReader(path string) *AuditReader { return &AuditReader{path: path} }

// Next returns what was logged since the last call, in the order of the log. Dry
// runs are left out.
func (r *AuditReader) Next() (a Audit, err error) {
	f, err := os.Open(r.path)
	if err != nil {
		return a, err
	}
	defer f.Close()
	if _, err := f.Seek(r.offset, io.SeekStart); err != nil {
		return a, err
	}
	for lines := bufio.NewReaderSize(f, 1<<20); ; {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return a, nil // what follows the last newline is still being written
		}
		if err != nil {
			return a, err
		}
		r.offset += int64(len(line))
		var raw audited
		if err := json.Unmarshal(line, &raw); err != nil {
			return a, fmt.Errorf("the audit log: %w", err)
		}
		if raw.ObjectRef == nil || strings.Contains(raw.RequestURI, "dryRun=All") {
			continue
		}
		request := requestOf(raw)
		a.Requests = append(a.Requests, request)
		if s, ok, err := stateOf(raw, request); err != nil {
			return a, err
		} else if ok {
			a.States = append(a.States, s)
		}
	}
}

// ReadAudit reads a whole audit log, in order.
func ReadAudit(path string) (Audit, error) {
	a, err := NewAuditReader(path).Next()
	slices.SortStableFunc(a.States, func(x, y State) int { return x.At.Compare(y.At) })
	a.States = stored(a.States)
	InOrder(a.Requests)
	return a, err
}

// stored leaves out the writes without an answer that were not carried out: the
// next write of the same Secret replaces another version than they would have made.
func stored(states []State) []State {
	var out []State
	last := map[[2]string]int64{}
	for i, s := range states {
		id := [2]string{s.Namespace, s.Secret}
		if s.rv != 0 {
			out, last[id] = append(out, s), s.rv
			continue
		}
		rest := states[i+1:]
		next := slices.IndexFunc(rest, func(n State) bool { return n.Namespace == s.Namespace && n.Secret == s.Secret && n.rv != 0 })
		if next >= 0 && rest[next].after != last[id] {
			out = append(out, s)
		}
	}
	return out
}

// InOrder sorts requests by when they were received, and those on one object as
// they were stored.
func InOrder(requests []Request) {
	slices.SortStableFunc(requests, func(x, y Request) int { return x.At.Compare(y.At) })
	asStored(requests)
}

// asStored puts the requests on each object, in their places, into the order of
// the versions that they made.
func asStored(requests []Request) {
	places := map[model.ObjectKey][]int{}
	for i, r := range requests {
		if r.RV != 0 && r.OK() {
			places[r.Key] = append(places[r.Key], i)
		}
	}
	for _, at := range places {
		sorted := make([]Request, len(at))
		for i, place := range at {
			sorted[i] = requests[place]
		}
		slices.SortStableFunc(sorted, func(x, y Request) int { return int(x.RV - y.RV) })
		for i, place := range at {
			requests[place] = sorted[i]
		}
	}
}

// kinds of the resources that stories are made of.
var kinds = map[string]string{
	"configmaps": "ConfigMap", "deployments": "Deployment", "jobs": "Job", "namespaces": "Namespace", "secrets": "Secret", "leases": "Lease",
	"events": "Event", "pods": "Pod", "replicasets": "ReplicaSet", "services": "Service", "serviceaccounts": "ServiceAccount",
}

func requestOf(raw audited) Request {
	ref := raw.ObjectRef
	kind := kinds[ref.Resource]
	if kind == "" {
		kind = ref.Resource
	}
	r := Request{
		At: raw.RequestReceivedTimestamp, User: raw.User.Username, Verb: raw.Verb, Subresource: ref.Subresource,
		Key: model.ObjectKey{Group: ref.APIGroup, Kind: kind, Namespace: ref.Namespace, Name: ref.Name},
	}
	if kind == "Namespace" {
		r.Key.Namespace = ""
	}
	if raw.ResponseStatus != nil {
		r.Code = raw.ResponseStatus.Code
	}
	r.Created = r.Code == 201 && r.Subresource == ""
	if _, op, ok := strings.Cut(raw.UserAgent, " op/"); ok {
		r.Operation, _, _ = strings.Cut(op, " ")
	}
	if raw.Verb == "delete" {
		var options struct {
			Preconditions struct{ UID string }
		}
		_ = json.Unmarshal(raw.RequestObject, &options) // none: no precondition
		r.Precondition = options.Preconditions.UID
		return r
	}
	var o map[string]any
	if !r.OK() {
		// What was asked for; a create does not have the name in its path.
		if json.Unmarshal(raw.RequestObject, &o) == nil {
			r.Content = ContentOf(kind, o)
			if l := LiveOf(kind, o); r.Key.Name == "" {
				r.Key.Name = l.Key.Name
			}
		}
		return r
	}
	if json.Unmarshal(raw.ResponseObject, &o) != nil {
		return r
	}
	v := VersionOf(kind, o)
	r.Key.Name = v.Key.Name
	r.fill(v)
	return r
}

// fill takes over what the answer says.
func (r *Request) fill(v Version) {
	r.UID, r.Run, r.TrackedBy, r.Content, r.RV, r.Generation, r.Settled = v.UID, v.Run, v.TrackedBy, v.Content, v.RV, v.Generation, v.Settled
}

// Version is a state of an object that was stored, as a watch tells it.
type Version struct {
	Live
	RV         int64
	Generation int64
	Settled    bool
	// Gone: it was deleted.
	Gone bool
}

// VersionOf reads a version of an object.
func VersionOf(kind string, o map[string]any) Version {
	meta, _ := o["metadata"].(map[string]any)
	rv, _ := meta["resourceVersion"].(string)
	n, _ := strconv.ParseInt(rv, 10, 64)
	return Version{Live: LiveOf(kind, o), RV: n, Generation: number(meta["generation"]), Settled: settledOf(kind, o)}
}

// Resolve finds out what became of the requests that were answered with nothing or
// an error of the server, as those of a process that died meanwhile: some were
// carried out nevertheless. versions are all that were stored, in order.
func Resolve(requests []Request, versions []Version) {
	explained, deleted, first := map[int64]bool{}, map[string]bool{}, map[string]int64{}
	for _, r := range requests {
		if r.OK() {
			explained[r.RV] = true
			if r.Verb == "delete" {
				deleted[r.Precondition] = true
			}
		}
	}
	for _, v := range versions {
		if n, ok := first[v.UID]; !ok || v.RV < n {
			first[v.UID] = v.RV
		}
	}
	for i := range requests {
		r := &requests[i]
		if !r.lost() || r.Subresource != "" {
			continue
		}
		for _, v := range versions {
			if v.Key != r.Key {
				continue
			}
			if r.Verb == "delete" && v.Gone && v.UID == r.Precondition && !deleted[v.UID] {
				r.Code, deleted[v.UID] = 200, true
				break
			}
			if r.Verb != "delete" && !v.Gone && !explained[v.RV] && v.Content == r.Content {
				explained[v.RV] = true
				r.Code, r.Created = 200, first[v.UID] == v.RV
				r.fill(v)
				break
			}
		}
	}
}

func number(v any) int64 {
	switch n := v.(type) {
	case float64:
		return int64(n)
	case int64:
		return n
	}
	return 0
}

// LiveOf reads an object as the API server answers it.
func LiveOf(kind string, o map[string]any) Live {
	meta, _ := o["metadata"].(map[string]any)
	text := func(m map[string]any, name string) string { s, _ := m[name].(string); return s }
	annotations, _ := meta["annotations"].(map[string]any)
	apiVersion, _ := o["apiVersion"].(string)
	group := ""
	if g, _, ok := strings.Cut(apiVersion, "/"); ok {
		group = g
	}
	app, _, _ := model.ParseTrackingID(text(annotations, model.AnnotationTrackingID))
	run := text(annotations, model.AnnotationRun)
	if i := strings.LastIndexByte(run, '/'); i >= 0 { // the phase follows
		run = run[:i]
	}
	return Live{
		Key: model.ObjectKey{Group: group, Kind: kind, Namespace: text(meta, "namespace"), Name: text(meta, "name")},
		UID: text(meta, "uid"), TrackedBy: app, Run: run, Content: ContentOf(kind, o),
	}
}

// ContentOf is the part of an object that the stories change, in short.
func ContentOf(kind string, o map[string]any) string {
	spec, _ := o["spec"].(map[string]any)
	switch kind {
	case "ConfigMap":
		b, _ := json.Marshal(o["data"]) // of decoded JSON
		return string(b)
	case "Deployment":
		return fmt.Sprintf("%d × %s", number(spec["replicas"]), image(spec))
	case "Job":
		return image(spec)
	}
	return ""
}

func image(spec map[string]any) string {
	template, _ := spec["template"].(map[string]any)
	pod, _ := template["spec"].(map[string]any)
	containers, _ := pod["containers"].([]any)
	if len(containers) == 0 {
		return ""
	}
	first, _ := containers[0].(map[string]any)
	name, _ := first["image"].(string)
	return name
}

// settledOf reports whether an object has come to rest, by its own status.
func settledOf(kind string, o map[string]any) bool {
	status, _ := o["status"].(map[string]any)
	switch kind {
	case "Deployment":
		spec, _ := o["spec"].(map[string]any)
		meta, _ := o["metadata"].(map[string]any)
		want := number(spec["replicas"])
		return number(status["observedGeneration"]) == number(meta["generation"]) && number(status["updatedReplicas"]) == want &&
			number(status["availableReplicas"]) == want && number(status["replicas"]) == want
	case "Job":
		conditions, _ := status["conditions"].([]any)
		return slices.ContainsFunc(conditions, func(c any) bool {
			m, _ := c.(map[string]any)
			return m["type"] == "Complete" && m["status"] == "True"
		})
	}
	return true
}

// The journal's Secrets, as agent/journal writes them: a mark, a checksum of the
// rest, and zstd of JSON. It is read anew here, because what reads it there is
// judged.
const (
	statePrefix = "hawser-state-"
	stateKey    = "state"
	stateMark   = "HWJ1"
)

func stateOf(raw audited, r Request) (State, bool, error) {
	if r.Key.Kind != "Secret" || !strings.HasPrefix(r.Key.Name, statePrefix) || r.Key.Name == statePrefix+"head" || !r.OK() && !r.lost() || raw.Verb == "delete" {
		return State{}, false, nil
	}
	if !r.OK() && len(raw.RequestObject) == 0 {
		return State{}, false, nil // the agent died before it had sent all of it
	}
	var secret struct {
		Metadata struct{ ResourceVersion string }
		Data     map[string][]byte
	}
	if err := json.Unmarshal(raw.RequestObject, &secret); err != nil {
		return State{}, false, fmt.Errorf("the audit log: a Secret of the journal: %w", err)
	}
	data := secret.Data[stateKey]
	if len(data) < len(stateMark)+4 || !bytes.HasPrefix(data, []byte(stateMark)) {
		return State{}, false, nil // somebody else's hand
	}
	rest := data[len(stateMark)+4:]
	if crc32.Checksum(rest, crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(data[len(stateMark):]) {
		return State{}, false, errors.New("a Secret of the journal has a wrong checksum")
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		return State{}, false, err
	}
	defer dec.Close()
	plain, err := dec.DecodeAll(rest, nil)
	if err != nil {
		return State{}, false, fmt.Errorf("a Secret of the journal: %w", err)
	}
	var doc struct{ Records []json.RawMessage }
	if err := json.Unmarshal(plain, &doc); err != nil {
		return State{}, false, fmt.Errorf("a Secret of the journal: %w", err)
	}
	after, _ := strconv.ParseInt(secret.Metadata.ResourceVersion, 10, 64) // none: it was created
	return State{At: r.At, Namespace: r.Key.Namespace, Secret: r.Key.Name, Records: doc.Records, after: after, rv: r.RV}, true, nil
}

// Entries are the states of one application's record in a journal.
func (a Audit) Entries(namespace string, uid model.AppUID) ([]Entry, error) {
	var out []Entry
	for _, s := range a.States {
		if s.Namespace != namespace {
			continue
		}
		for _, raw := range s.Records {
			var r struct {
				App     model.AppUID
				Desired *struct {
					Generation int64
					Revision   struct{ Commit string }
				}
				Op        *struct{ ID model.OperationID }
				Withdraw  *struct{ Operation model.OperationID }
				Gone      *struct{}
				Ended     []End
				Recent    []End
				Inventory []struct {
					Key model.ObjectKey
					UID string
				}
				Hooks []struct{ UID string }
				Run   *struct {
					Hooks, Started []struct{ UID string }
				}
			}
			if err := json.Unmarshal(raw, &r); err != nil {
				return nil, fmt.Errorf("a record of the journal: %w", err)
			}
			if r.App != uid {
				continue
			}
			e := Entry{At: s.At, Gone: r.Gone != nil, Inventory: make(map[model.ObjectKey]string, len(r.Inventory))}
			if r.Desired != nil {
				e.Commit, e.Generation = r.Desired.Revision.Commit, r.Desired.Generation
			}
			if r.Op != nil {
				e.Operation = r.Op.ID
			}
			if r.Withdraw != nil {
				e.Withdraw = r.Withdraw.Operation
			}
			e.Ended = append(append(e.Ended, r.Ended...), r.Recent...)
			for _, o := range r.Inventory {
				e.Inventory[o.Key] = o.UID
			}
			hooks := r.Hooks
			if r.Run != nil {
				hooks = append(append(hooks, r.Run.Hooks...), r.Run.Started...)
			}
			for _, h := range hooks {
				if h.UID != "" {
					e.Hooks = append(e.Hooks, h.UID)
				}
			}
			out = append(out, e)
		}
	}
	return out, nil
}
