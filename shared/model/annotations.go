package model

// Annotations and names that Hawser reads or writes in clusters. Argo CD's
// annotations mean what they mean there; hawser.dev/… are aliases.
const (
	// FieldManager is the field manager of every server-side apply.
	FieldManager = "hawser"

	// AnnotationLastApplied is where kubectl keeps a copy of a whole object, values of
	// Secrets included.
	AnnotationLastApplied = "kubectl.kubernetes.io/last-applied-configuration"

	AnnotationTrackingID  = "argocd.argoproj.io/tracking-id"
	AnnotationSyncOptions = "argocd.argoproj.io/sync-options"
	AnnotationSyncWave    = "argocd.argoproj.io/sync-wave"
	AnnotationHook        = "argocd.argoproj.io/hook"
	AnnotationIgnoreHC    = "argocd.argoproj.io/ignore-healthcheck"
	AnnotationHookDelete  = "argocd.argoproj.io/hook-delete-policy"

	// AnnotationRun is put on every hook by the agent: the run of the operation
	// that created it. A hook that carries the present run is never created
	// again.
	AnnotationRun = "hawser.dev/run"

	// AnnotationGeneratePaths of an Application lists, separated by ";", the
	// paths whose changes matter to it: relative to the directory of its
	// source, or from the root of the repository with a leading "/"; globs are
	// allowed. Commits that touch nothing of them do not render it.
	AnnotationGeneratePaths      = "argocd.argoproj.io/manifest-generate-paths"
	AnnotationGeneratePathsAlias = "hawser.dev/manifest-generate-paths"
	// AnnotationRemoteBases of an AppProject, with the value "allow", lets its
	// applications use remote Kustomize bases and remote value files, from
	// repositories that its sourceRepos permit.
	AnnotationRemoteBases = "hawser.dev/remote-bases"

	// AnnotationMode of an Application, or of an AppProject for all of its
	// applications, with the value ModeObserve has them compared and reported and
	// nothing written to their cluster. ModeManage is as without the annotation; an
	// Application leaves ModeObserve only by saying so.
	AnnotationMode = "hawser.dev/mode"
	ModeObserve    = "observe"
	ModeManage     = "manage"

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
