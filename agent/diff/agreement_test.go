package diff

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/manifest"
)

var (
	agreeSeed  = flag.Uint64("agree.seed", 1, "seed of the random objects that are compared with the API server's judgement")
	agreeRuns  = flag.Int("agree.runs", 2, "how often each object is taken")
	agreeOnly  = flag.String("agree.only", "", "only this kind")
	agreeSteps = flag.Int("agree.steps", 6, "random changes of each object")
)

// TestServerAgrees holds Compare against the API server: for random objects of
// many kinds and random changes on both sides, nothing differs exactly when the
// server's dry run of applying would leave the live object as it is.
func TestServerAgrees(t *testing.T) {
	s := startServer(t)
	schema := s.createCRDs()
	openAPI := map[string]Schema{}
	for _, path := range []string{"/openapi/v3/apis/diff.example.com/v1", "/openapi/v2"} {
		openAPI[path] = s.openAPI(path)
	}
	m := &mutator{rnd: rand.New(rand.NewPCG(*agreeSeed, 1)), pool: map[string][]any{}}
	var objects []map[string]any
	for _, file := range []string{"workloads.yaml", "core.yaml", "policy.yaml", "custom.yaml", "crds.yaml"} {
		for _, obj := range manifests(t, file) {
			in := Input{Schema: schema}
			typ := in.typeOf(obj)
			m.learn(typ, mutable(obj))
			if file != "crds.yaml" {
				objects = append(objects, obj)
			}
		}
	}
	var compared, same, refused, unsure int
	for run := range *agreeRuns {
		for i, base := range objects {
			if *agreeOnly != "" && text(base["kind"]) != *agreeOnly {
				continue
			}
			c := &agreement{t: t, s: s, m: m, schema: schema, openAPI: openAPI}
			c.object(base, fmt.Sprintf("x%d-%d", run, i))
			compared, same, refused = compared+c.compared, same+c.same, refused+c.refused
			unsure += c.unsure
		}
	}
	t.Logf("%d comparisons, %d of equal objects; the server refused %d random changes; without a schema %d are undecided", compared, same, refused, unsure)
	if *agreeOnly == "" && (compared < 3*len(objects) || same < compared/20) {
		t.Errorf("the test does not test enough")
	}
}

// createCRDs creates the kinds of crds.yaml and returns their schema.
func (s *server) createCRDs() Schema {
	s.t.Helper()
	var schemas Schemas
	for _, crd := range manifests(s.t, "crds.yaml") {
		body := manifest.AppendJSON(nil, crd)
		if code, answer := s.apply(Normalise(crd), false); code/100 != 2 {
			s.t.Fatalf("CRD: %d %s", code, answer)
		}
		schema, err := CRDSchema(body)
		if err != nil {
			s.t.Fatal(err)
		}
		schemas = append(schemas, schema)
		deadline := time.Now().Add(30 * time.Second)
		for {
			live, err := Decode(s.get(crd))
			if err != nil {
				s.t.Fatal(err)
			}
			if established(live) {
				break
			}
			if time.Now().After(deadline) {
				s.t.Fatal("a CRD is not established")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return schemas
}

// bare is an answer without what every write moves.
func bare(t *testing.T, body []byte) []byte {
	obj, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	delete(obj, "status")
	meta, _ := obj["metadata"].(map[string]any)
	for _, k := range []string{"managedFields", "resourceVersion", "generation"} {
		delete(meta, k)
	}
	return manifest.AppendJSON(nil, obj)
}

// openAPI reads a document that the server publishes, as soon as it knows Widget.
func (s *server) openAPI(path string) Schema {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		code, doc := s.try(http.MethodGet, path, "", nil)
		if code == http.StatusOK {
			schema, err := OpenAPISchema(doc)
			if err != nil {
				s.t.Fatalf("%s: %v", path, err)
			}
			if schema.Type("diff.example.com/v1", "Widget") != nil && schema.Type("diff.example.com/v1", "Blob") != nil {
				return schema
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not know Widget: %d", path, code)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func established(crd map[string]any) bool {
	status, _ := crd["status"].(map[string]any)
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		if m["type"] == "Established" && m["status"] == "True" {
			return true
		}
	}
	return false
}

type agreement struct {
	t                       *testing.T
	s                       *server
	m                       *mutator
	schema                  Schema
	openAPI                 map[string]Schema
	log                     []string
	compared, same, refused int
	// unsure counts comparisons without a schema that only the server can decide.
	unsure int
	failed bool
}

func (c *agreement) object(base map[string]any, name string) {
	desired := deepCopy(base).(map[string]any)
	meta, _ := desired["metadata"].(map[string]any)
	if _, ok := builtin.kinds[text(base["apiVersion"])+" "+text(base["kind"])]; !ok || text(base["kind"]) != "APIService" {
		meta["name"] = name
	}
	in := Input{Schema: c.schema}
	typ := in.typeOf(desired)
	// A random start.
	for range c.m.rnd.IntN(3) {
		try := deepCopy(desired).(map[string]any)
		did := c.m.change(typ, try, true)
		if code, _ := c.s.apply(Normalise(try), true); code/100 == 2 {
			desired = try
			c.log = append(c.log, "start: "+did)
		}
	}
	if code, answer := c.s.apply(Normalise(desired), false); code/100 != 2 {
		c.t.Errorf("%s: %d %s", c.s.path(desired), code, answer)
		return
	}
	defer c.s.delete(desired)
	c.compare(desired)
	for step := 0; step < *agreeSteps && !c.failed; step++ {
		switch c.m.rnd.IntN(5) {
		case 0:
			// Somebody else applies something like it.
			theirs := deepCopy(desired).(map[string]any)
			for range 1 + c.m.rnd.IntN(4) {
				c.m.change(typ, theirs, true)
			}
			if code, _ := c.s.applyAs("other", theirs, false); code/100 != 2 {
				c.refused++
				continue
			}
			c.log = append(c.log, "somebody else applied")
		case 1, 2:
			// Somebody else changes the live object.
			liveObj, err := Decode(c.s.get(desired))
			if err != nil {
				c.t.Fatal(err)
			}
			did := c.m.change(typ, liveObj, false)
			if did == "" {
				continue
			}
			meta, _ := liveObj["metadata"].(map[string]any)
			delete(meta, "managedFields")
			delete(meta, "resourceVersion")
			code, _ := c.s.try(http.MethodPut, c.s.path(desired)+"?fieldManager=somebody", "application/json", manifest.AppendJSON(nil, liveObj))
			if code/100 != 2 {
				c.refused++
				continue
			}
			c.log = append(c.log, "live: "+did)
		default:
			try := deepCopy(desired).(map[string]any)
			did := c.m.change(typ, try, true)
			if did == "" {
				continue
			}
			if code, _ := c.s.apply(Normalise(try), true); code/100 != 2 {
				c.refused++
				continue
			}
			c.log = append(c.log, "desired: "+did)
			desired = try
		}
		c.compare(desired)
		if c.m.rnd.IntN(3) == 0 {
			if code, _ := c.s.apply(Normalise(desired), false); code/100 == 2 {
				c.log = append(c.log, "applied")
				c.compare(desired)
			}
		}
	}
}

func (c *agreement) compare(desired map[string]any) {
	c.t.Helper()
	d := Normalise(desired)
	liveBody := c.s.get(d)
	code, answer := c.s.apply(d, true)
	if code/100 != 2 {
		c.refused++
		return
	}
	again := c.s.get(d)
	if ok, _ := serverSame(c.t, again, liveBody); !ok {
		return // a controller moved it
	}
	if would, err := Decode(answer); err != nil || has(d, "spec") != has(would, "spec") {
		// Applying {} where an empty list is live that nobody owns takes all away:
		// a fault of the server.
		return
	}
	want, why := serverSame(c.t, answer, liveBody)
	res, err := Compare(Input{Desired: d, Live: liveBody, Schema: c.schema})
	if err != nil {
		c.t.Fatal(err)
	}
	c.compared++
	if want {
		c.same++
	}
	byAnswer, err := CompareAnswer(Input{Desired: d, Live: liveBody, Schema: c.schema}, answer)
	if err != nil {
		c.t.Fatal(err)
	}
	for path, schema := range c.openAPI {
		byDocument, err := Compare(Input{Desired: d, Live: liveBody, Schema: schema})
		if path == "/openapi/v2" && !byDocument.Certain() && err == nil {
			continue
		}
		if path == "/openapi/v2" && byDocument.Certain() && byDocument.Same() == res.Same() && err == nil {
			continue // it tells less, so less is found
		}
		if err != nil || !reflect.DeepEqual(lines(byDocument), lines(res)) {
			c.failed = true
			c.t.Errorf("%s %s: by %s differences are %q, by the CRD %q (%v)", d["kind"], c.s.path(d), path, lines(byDocument), lines(res), err)
		}
	}
	// Without a schema nobody knows that another notation is no difference.
	respelled := want && !bytes.Equal(bare(c.t, answer), bare(c.t, liveBody))
	if blind, err := Compare(Input{Desired: d, Live: liveBody}); err != nil || blind.Certain() && blind.Same() != want && !respelled {
		c.failed = true
		dj, _ := json.Marshal(d)
		c.t.Errorf("%s %s: without a schema Compare is certain of same=%v, the server says %v %s (%v)\nhistory: %q\ndifferences %q\ndesired %s\nlive %s\n",
			d["kind"], c.s.path(d), blind.Same(), want, why, err, c.log, lines(blind), dj, liveBody)
	} else if !blind.Certain() {
		c.unsure++
	}
	if res.Same() == want && byAnswer.Same() == want && (len(res.Doubts) == 0 || d["apiVersion"] == "autoscaling/v1") {
		return
	}
	c.failed = true
	dj, _ := json.Marshal(d)
	c.t.Errorf("%s %s: Compare says same=%v, the answer of a dry run gives same=%v, the server says %v %s\nhistory: %q\ndifferences %q\ndoubts %q\nby answer %q\ndesired %s\nlive %s\n",
		d["kind"], c.s.path(d), res.Same(), byAnswer.Same(), want, why, c.log, lines(res), res.Doubts, lines(byAnswer), dj, liveBody)
}
