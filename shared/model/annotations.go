package model

// Annotations and names that Hawser reads or writes in clusters. Argo CD's
// annotations mean what they mean there; hawser.dev/… are aliases.
const (
	// FieldManager is the field manager of every server-side apply.
	FieldManager = "hawser"

	AnnotationTrackingID  = "argocd.argoproj.io/tracking-id"
	AnnotationSyncOptions = "argocd.argoproj.io/sync-options"
	AnnotationSyncWave    = "argocd.argoproj.io/sync-wave"
	AnnotationHook        = "argocd.argoproj.io/hook"
	AnnotationIgnoreHC    = "argocd.argoproj.io/ignore-healthcheck"

	// FinalizerCascade on an Application asks for foreground cascade deletion,
	// as in Argo CD; FinalizerCascadeBackground for background.
	FinalizerCascade           = "resources-finalizer.argocd.argoproj.io"
	FinalizerCascadeForeground = "resources-finalizer.argocd.argoproj.io/foreground"
	FinalizerCascadeBackground = "resources-finalizer.argocd.argoproj.io/background"

	// InClusterServer is the server URL that Argo CD users write for "the
	// cluster I am in"; here it is an alias like any other.
	InClusterServer = "https://kubernetes.default.svc"

	// DefaultProject always exists.
	DefaultProject = "default"

	// AgentServerName and EnrolServerName are the TLS server names that agents
	// send, whatever address they dial.
	AgentServerName = "agent.hawser.internal"
	EnrolServerName = "enrol.hawser.internal"
)
