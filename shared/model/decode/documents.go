package decode

import (
	"fmt"
	"reflect"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// Document is one object of a text: exactly one of Application, Project and
// Err is set.
type Document struct {
	Index int // from 1, Lists counted item by item
	Line  int
	// Kind and Name as far as they could be read.
	Kind, Name  string
	Application *model.Application
	Project     *model.AppProject
	Err         error
}

// Documents reads a text of Applications and AppProjects, and Lists of them. A
// text that cannot be read at all is an error; what is wrong with one object is
// in its Document.
func Documents(data []byte) ([]Document, error) {
	nodes, err := parse(data)
	if err != nil {
		return nil, err
	}
	var out []Document
	for _, n := range flatten(nodes) {
		d := Document{Index: len(out) + 1, Line: n.line, Kind: n.str("kind"), Name: n.get("metadata").str("name")}
		switch app, project, err := object(n); {
		case err != nil:
			d.Err = err
		case app != nil:
			d.Application = app
		default:
			d.Project = project
		}
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
	app, _, err := object(n)
	if err != nil {
		return model.Application{}, err
	}
	return *app, nil
}

// Project reads the one AppProject of a text.
func Project(data []byte) (model.AppProject, error) {
	n, err := single(data, model.KindAppProject)
	if err != nil {
		return model.AppProject{}, err
	}
	_, project, err := object(n)
	if err != nil {
		return model.AppProject{}, err
	}
	return *project, nil
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

func supported(kind string) bool {
	return kind == model.KindApplication || kind == model.KindAppProject
}

// flatten replaces Lists by their items.
func flatten(nodes []*node) []*node {
	var out []*node
	for _, n := range nodes {
		switch n.str("kind") {
		case "List", "ApplicationList", "AppProjectList":
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

// object decodes and validates one object.
func object(n *node) (*model.Application, *model.AppProject, error) {
	if n.kind != kindObject {
		return nil, nil, fault.New(fault.Invalid, "type_mismatch", "line %d: an object is needed, got %s", n.line, n.describe())
	}
	if err := checkKind(n); err != nil {
		return nil, nil, err
	}
	if n.str("kind") == model.KindApplication {
		var app model.Application
		f := filler{root: reflect.TypeFor[model.Application]()}
		f.fill(n, reflect.ValueOf(&app).Elem(), "", "")
		app.Status = nil
		if app.Spec.Project == "" {
			app.Spec.Project = model.DefaultProject
		}
		f.validateApplication(&app)
		return &app, nil, f.err()
	}
	var project model.AppProject
	f := filler{root: reflect.TypeFor[model.AppProject]()}
	f.fill(n, reflect.ValueOf(&project).Elem(), "", "")
	project.Status = nil
	f.validateProject(&project)
	return nil, &project, f.err()
}

func checkKind(n *node) error {
	kinds := []string{model.KindApplication, model.KindAppProject}
	kind, version := n.str("kind"), n.str("apiVersion")
	switch {
	case kind == "":
		return fault.New(fault.Invalid, "field_missing", "line %d: kind is missing", n.line).WithField("kind").
			WithFound("", "Application, AppProject")
	case !supported(kind):
		e := fault.New(fault.Invalid, "kind_unsupported", "line %d: kind %s is not supported; Application and AppProject are", n.line, quote(kind)).
			WithField("kind").WithFound(kind, "Application, AppProject")
		if near := nearest.Word(kind, kinds); near != "" && kind != "ApplicationSet" {
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
