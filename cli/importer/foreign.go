package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Skipped is something among the files that is no part of an import.
type Skipped struct {
	// Where is its file, with the line where that is known.
	Where string `json:"where"`
	// What it is: Deployment/web; empty for what is no object of Kubernetes.
	What string `json:"what,omitempty"`
	// Why it could not be read, with its line; empty for what is only foreign.
	Why string `json:"why,omitempty"`
}

// Found is what files hold.
type Found struct {
	Objects []Object
	// Foreign is what is not of Argo CD, Unreadable what nobody can say that of.
	Foreign, Unreadable []Skipped
}

// Unread notes a text that could not be read.
func (f *Found) Unread(origin string, err error) {
	why := err.Error()
	var known *fault.Error
	if errors.As(err, &known) {
		why = known.Message
	}
	for _, before := range []string{origin + ": ", origin + ", "} {
		why = strings.TrimPrefix(why, before)
	}
	f.Unreadable = append(f.Unreadable, Skipped{Where: origin, Why: why})
}

// Read adds the objects of Argo CD in a text. What else is there does not stop
// it: a repository holds more than Argo CD's objects.
func (f *Found) Read(origin string, data []byte) {
	objects, err := Parse(origin, data)
	if err == nil {
		for _, o := range objects {
			f.object(o)
		}
		return
	}
	if len(data) > MaxText {
		f.Unread(origin, err)
		return
	}
	// One by one: what is wrong with one document is not the fault of the others.
	dec := yaml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); err != nil {
			if !errors.Is(err, io.EOF) {
				f.Unread(origin, errors.New(strings.TrimPrefix(err.Error(), "yaml: ")))
			}
			return
		}
		if len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Tag == "!!null" {
			continue
		}
		root := doc.Content[0]
		if root.Kind != yaml.MappingNode || text(child(root, "kind")) == "" {
			f.Foreign = append(f.Foreign, Skipped{Where: place(origin, root.Line)})
			continue
		}
		budget := maxNodes
		resolved, err := resolve(root, &budget, 0, false)
		if err == nil {
			var of []Object
			if of, err = flatten(origin, resolved, nil); err == nil {
				for _, o := range of {
					f.object(o)
				}
				continue
			}
		}
		f.Unread(origin, err)
	}
}

func (f *Found) object(o Object) {
	if o.ofArgoCD() {
		f.Objects = append(f.Objects, o)
		return
	}
	what := o.Kind
	if o.Name != "" {
		what += "/" + o.Name
	}
	f.Foreign = append(f.Foreign, Skipped{Where: place(o.Origin, o.root.Line), What: what})
}

// ofArgoCD reports whether an object is of Argo CD or configures it.
func (o Object) ofArgoCD() bool {
	switch o.Kind {
	case model.KindApplication, model.KindAppProject, model.KindApplicationSet:
		return ofArgoCD(o)
	case "Secret":
		return o.label(secretType) != "" || strings.HasPrefix(o.Name, "argocd-")
	case "ConfigMap":
		return strings.HasPrefix(o.Name, "argocd-")
	}
	return false
}

func place(origin string, line int) string {
	if line == 0 { // of JSON
		return origin
	}
	return fmt.Sprintf("%s, line %d", origin, line)
}
