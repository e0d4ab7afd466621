package decode

import (
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// validateMode checks the annotation that says whether a cluster may be written. A
// value that is not known must not be taken for none.
func (p *problems) validateMode(meta *model.ObjectMeta) {
	v, ok := meta.Annotations[model.AnnotationMode]
	if !ok || v == model.ModeObserve || v == model.ModeManage {
		return
	}
	field := join("metadata.annotations", model.AnnotationMode)
	p.check(fault.New(fault.Invalid, "annotation_invalid", "annotation %s is %s; it can only be %q or %q", model.AnnotationMode, quote(v), model.ModeObserve, model.ModeManage).
		WithField(field).WithFound(v, model.ModeObserve+", "+model.ModeManage).WithFix("leave the annotation out to have the cluster written"))
}
