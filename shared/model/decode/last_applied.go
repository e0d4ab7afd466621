package decode

import (
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// noLastApplied refuses kubectl's own record among annotations that somebody gives:
// it is a copy of a whole object, values of Secrets included, and kubectl removes
// what it has and the object lacks. The value is not repeated.
func (p *problems) noLastApplied(field string, annotations map[string]string) {
	if _, there := annotations[model.AnnotationLastApplied]; there {
		p.check(fault.New(fault.Invalid, "annotation_invalid", "annotation %s is kubectl's copy of a whole object, values of Secrets included; it is not taken", model.AnnotationLastApplied).
			WithField(join(field, model.AnnotationLastApplied)).WithFix("leave the annotation out"))
	}
}

// noLastAppliedIn is noLastApplied for the annotations that a specification puts on
// objects and on their namespace.
func (p *problems) noLastAppliedIn(field string, spec *model.ApplicationSpec) {
	if s := spec.SyncPolicy; s != nil && s.ManagedNamespaceMetadata != nil {
		p.noLastApplied(field+".syncPolicy.managedNamespaceMetadata.annotations", s.ManagedNamespaceMetadata.Annotations)
	}
	kustomize := func(field string, k *model.KustomizeSource) {
		if k != nil {
			p.noLastApplied(field+".kustomize.commonAnnotations", k.CommonAnnotations)
		}
	}
	if spec.Source != nil {
		kustomize(field+".source", spec.Source.Kustomize)
	}
	for i, s := range spec.Sources {
		kustomize(at(field+".sources", i), s.Kustomize)
	}
	if h := spec.SourceHydrator; h != nil {
		kustomize(field+".sourceHydrator.drySource", h.DrySource.Kustomize)
	}
}
