package model

// Observed reports whether an application is only compared and reported: by its own
// annotation, or by that of its project.
func Observed(app Application, project AppProject) bool {
	return app.Metadata.Annotations[AnnotationMode] == ModeObserve || project.Metadata.Annotations[AnnotationMode] == ModeObserve
}
