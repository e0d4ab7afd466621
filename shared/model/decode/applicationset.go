package decode

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// ApplicationSet reads the one ApplicationSet of a text. Its template and its
// outer fields are read as strictly as an Application; what is inside a
// generator is taken as it is.
func ApplicationSet(data []byte) (model.ApplicationSet, error) {
	n, err := single(data, model.KindApplicationSet)
	if err != nil {
		return model.ApplicationSet{}, err
	}
	var d Document
	if err := d.object(n); err != nil {
		return model.ApplicationSet{}, err
	}
	return *d.Set, nil
}

var (
	applicationsSync = []string{"sync", "create-only", "create-update", "create-delete"}
	strategies       = []string{"AllAtOnce", "RollingSync"}
	deletionOrders   = []string{"AllAtOnce", "Reverse"}
	setOperators     = []string{"In", "NotIn"}
)

// validateApplicationSet checks what does not depend on what an expression
// becomes.
func (p *problems) validateApplicationSet(set *model.ApplicationSet) {
	p.validateMeta(&set.Metadata)
	spec := &set.Spec
	if len(spec.Generators) == 0 {
		p.check(missing("spec.generators").WithFix("name a generator: list, clusters, git, ..."))
	}
	for i := range spec.Generators {
		field := at("spec.generators", i)
		switch kinds := spec.Generators[i].Kinds(); len(kinds) {
		case 1:
		case 0:
			p.check(fault.New(fault.Invalid, "generator_missing", "%s has no generator", field).WithField(field).
				WithFound("", strings.Join(model.SetGeneratorKinds, ", ")))
		default:
			p.check(fault.New(fault.Invalid, "generator_ambiguous", "%s has %s; write each as an entry of its own", field, strings.Join(kinds, " and ")).
				WithField(field))
		}
	}
	if spec.Template.Metadata.Name == "" {
		p.check(missing("spec.template.metadata.name"))
	}
	p.noLastApplied("spec.template.metadata.annotations", spec.Template.Metadata.Annotations)
	p.noLastAppliedIn("spec.template.spec", &spec.Template.Spec)
	if spec.TemplatePatch != nil && *spec.TemplatePatch != "" && !spec.GoTemplate {
		p.check(fault.New(fault.Invalid, "template_patch_needs_go", "spec.templatePatch needs spec.goTemplate: true").WithField("spec.templatePatch"))
	}
	if s := spec.SyncPolicy; s != nil {
		p.oneOf("spec.syncPolicy.applicationsSync", s.ApplicationsSync, applicationsSync)
	}
	s := spec.Strategy
	if s == nil {
		return
	}
	p.oneOf("spec.strategy.type", s.Type, strategies)
	p.oneOf("spec.strategy.deletionOrder", s.DeletionOrder, deletionOrders)
	if s.RollingSync == nil {
		return
	}
	for i, step := range s.RollingSync.Steps {
		field := at("spec.strategy.rollingSync.steps", i)
		for j, m := range step.MatchExpressions {
			p.oneOf(at(field+".matchExpressions", j)+".operator", m.Operator, setOperators)
		}
		if m := step.MaxUpdate; m != nil && !maxUpdate(*m) {
			p.check(fault.New(fault.Invalid, "out_of_range", "%s.maxUpdate must be a number of applications, or a percentage such as \"25%%\"", field).
				WithField(field + ".maxUpdate"))
		}
	}
}

func maxUpdate(m model.IntOrString) bool {
	if m.IsInt {
		return m.Int >= 0
	}
	number, percent := strings.CutSuffix(m.Str, "%")
	n, err := strconv.Atoi(number)
	return err == nil && n >= 0 && (!percent || n <= 100)
}

// oneOf checks a word; none is good.
func (p *problems) oneOf(field, word string, allowed []string) {
	if word == "" || slices.Contains(allowed, word) {
		return
	}
	e := fault.New(fault.Invalid, "value_unknown", "%s is %s; allowed: %s", field, quote(word), strings.Join(allowed, ", ")).
		WithField(field).WithFound(quote(word), strings.Join(allowed, ", "))
	if near := nearest.Word(word, allowed); near != "" {
		e = e.WithFix("write %s", near)
	}
	p.check(e)
}
