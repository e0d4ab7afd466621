package decode

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// Document is one object of a text: exactly one of Application, Project, Set
// and Err is set.
type Document struct {
	Index int // from 1, Lists counted item by item
	Line  int
	// Kind and Name as far as they could be read.
	Kind, Name  string
	Application *model.Application
	Project     *model.AppProject
	Set         *model.ApplicationSet
	Err         error
}

// Documents reads a text of Applications, AppProjects and ApplicationSets, and
// Lists of them. A text that cannot be read at all is an error; what is wrong with one object is
// in its Document.
func Documents(data []byte) ([]Document, error) {
	nodes, err := parse(data)
	if err != nil {
		return nil, err
	}
	var out []Document
	for _, n := range flatten(nodes) {
		d := Document{Index: len(out) + 1, Line: n.line, Kind: n.str("kind"), Name: n.get("metadata").str("name")}
		d.Err = d.object(n)
		out = append(out, d)
	}
	return out, nil
}

// Application reads the one Application of a text.
func Application(data []byte) (model.Application, error) {
	n, err := single(data, model.KindApplication)
	if err != nil {
		return model.Application{}, err
	}
	var d Document
	if err := d.object(n); err != nil {
		return model.Application{}, err
	}
	return *d.Application, nil
}

// Project reads the one AppProject of a text.
func Project(data []byte) (model.AppProject, error) {
	n, err := single(data, model.KindAppProject)
	if err != nil {
		return model.AppProject{}, err
	}
	var d Document
	if err := d.object(n); err != nil {
		return model.AppProject{}, err
	}
	return *d.Project, nil
}

func single(data []byte, kind string) (*node, error) {
	nodes, err := parse(data)
	if err != nil {
		return nil, err
	}
	nodes = flatten(nodes)
	switch {
	case len(nodes) == 0:
		return nil, fault.New(fault.Invalid, "body_missing", "the text is empty; send an %s object", kind)
	case len(nodes) > 1:
		return nil, fault.New(fault.Invalid, "too_many_documents", "there are %d objects; one %s is needed", len(nodes), kind)
	}
	if n := nodes[0]; n.kind == kindObject && n.str("kind") != kind && supported(n.str("kind")) {
		return nil, fault.New(fault.Invalid, "kind_unexpected", "kind is %s; an %s is needed here", n.str("kind"), kind).
			WithField("kind").WithFound(n.str("kind"), kind)
	}
	return nodes[0], nil
}

// kinds are those that can be decoded, in the order of messages.
var kinds = []string{model.KindApplication, model.KindAppProject, model.KindApplicationSet}

func supported(kind string) bool { return slices.Contains(kinds, kind) }

// flatten replaces Lists by their items.
func flatten(nodes []*node) []*node {
	var out []*node
	for _, n := range nodes {
		switch n.str("kind") {
		case "List", "ApplicationList", "AppProjectList", "ApplicationSetList":
			if items := n.get("items"); items != nil && items.kind == kindList {
				for _, item := range items.list {
					// Items of a typed list carry no kind of their own.
					if k := n.str("kind"); k != "List" && item.kind == kindObject && item.get("kind") == nil {
						item.entries = append(item.entries,
							entry{"kind", item.line, &node{kind: kindString, line: item.line, text: k[:len(k)-len("List")]}})
						if item.get("apiVersion") == nil {
							item.entries = append(item.entries,
								entry{"apiVersion", item.line, &node{kind: kindString, line: item.line, text: n.str("apiVersion")}})
						}
					}
				}
				out = append(out, items.list...)
				continue
			}
		}
		out = append(out, n)
	}
	return out
}

// object decodes and validates one object. What it became is set only without
// an error.
func (d *Document) object(n *node) error {
	if n.kind != kindObject {
		return fault.New(fault.Invalid, "type_mismatch", "line %d: an object is needed, got %s", n.line, n.describe())
	}
	if err := checkKind(n); err != nil {
		return err
	}
	switch n.str("kind") {
	case model.KindApplication:
		var app model.Application
		f := filler{root: reflect.TypeFor[model.Application]()}
		f.fill(n, reflect.ValueOf(&app).Elem(), "", "")
		app.Status = nil
		if app.Spec.Project == "" {
			app.Spec.Project = model.DefaultProject
		}
		f.validateApplication(&app)
		if err := f.err(); err != nil {
			return err
		}
		d.Application = &app
	case model.KindAppProject:
		var project model.AppProject
		f := filler{root: reflect.TypeFor[model.AppProject]()}
		f.fill(n, reflect.ValueOf(&project).Elem(), "", "")
		project.Status = nil
		f.validateProject(&project)
		if err := f.err(); err != nil {
			return err
		}
		d.Project = &project
	default:
		var set model.ApplicationSet
		f := filler{root: reflect.TypeFor[model.ApplicationSet]()}
		f.fill(n, reflect.ValueOf(&set).Elem(), "", "")
		set.Status = nil
		f.validateApplicationSet(&set)
		if err := f.err(); err != nil {
			return err
		}
		d.Set = &set
	}
	return nil
}

func checkKind(n *node) error {
	kind, version := n.str("kind"), n.str("apiVersion")
	switch {
	case kind == "":
		return fault.New(fault.Invalid, "field_missing", "line %d: kind is missing", n.line).WithField("kind").
			WithFound("", strings.Join(kinds, ", "))
	case !supported(kind):
		e := fault.New(fault.Invalid, "kind_unsupported", "line %d: kind %s is not supported; Application, AppProject and ApplicationSet are", n.line, quote(kind)).
			WithField("kind").WithFound(kind, strings.Join(kinds, ", "))
		if near := nearest.Word(kind, kinds); near != "" {
			e.Message += fmt.Sprintf("; did you mean %q?", near)
		}
		return e
	case version != model.APIVersionArgo && version != model.APIVersionHawser:
		return fault.New(fault.Invalid, "api_version_unknown", "line %d: apiVersion %s of %s is not known; use %s or %s",
			n.line, quote(version), kind, model.APIVersionArgo, model.APIVersionHawser).
			WithField("apiVersion").WithFound(version, model.APIVersionArgo+", "+model.APIVersionHawser)
	}
	return nil
}
