package workspace

// Host answers the questions of one render. Paths are relative to the root of a
// tree, clean and without ".."; "" is the root. Errors are shared/fault errors
// that a user can read, and end the render, except where a tool says otherwise.
type Host interface {
	// Stat tells what is at a path; Exists is false when nothing is there. A
	// symbolic link is what it leads to. Code symlink_out_of_bounds.
	Stat(tree, path string) (Info, error)
	// List lists a directory in order of paths: its files and directories, or
	// with recurse all files below it and no directories. Codes path_not_found,
	// symlink_out_of_bounds, too_large.
	List(tree, path string, recurse bool) ([]Info, error)
	// Read returns the contents of files, which are the caller's. Code
	// file_not_found for a path that is no file.
	Read(tree string, paths []string) ([][]byte, error)
	// Facts returns values of the build environment by name; see Fact.
	Facts(names []string) (map[string]string, error)
	// Capabilities tells what the cluster is; apis are asked for only where
	// templates can see them.
	Capabilities(kubeVersion, apis bool) (Capabilities, error)
	// Chart fetches a Helm chart from a chart repository (https://…) or an OCI
	// registry (oci://…). version may be a constraint. The root of the tree is
	// the chart's directory. Codes chart_not_found, repo_not_permitted, and
	// those of a repository that does not answer.
	Chart(repository, name, version string) (Fetched, error)
	// Base fetches a remote Kustomize base. Codes remote_base_forbidden,
	// repo_not_permitted, git_ref_invalid, and those of a repository that does
	// not answer.
	Base(url string) (Fetched, error)
	// Download fetches one file by https. Codes as Base.
	Download(url string) ([]byte, error)
	// Plugin runs a config management plugin in a directory of the source; name
	// "" means the one that discovers it. With discover it only tells the name,
	// "" when there is none. options is the source's plugin options as JSON.
	// Codes plugin_unknown, plugin_failed.
	Plugin(path, name string, discover bool, options []byte) (ranName string, manifests []byte, err error)
}

// Info is what is at a path.
type Info struct {
	// Path from the root of the tree, as it was asked for; for a directory that
	// Stat was asked for, where it is after following symbolic links.
	Path       string
	Exists     bool
	Dir        bool
	Size       int64
	Executable bool
	// Broken: a symbolic link that leads nowhere, or to a directory while
	// listing recursively. It has no content.
	Broken bool
}

// Capabilities are those of the destination cluster. Both are empty when the
// cluster has not reported yet.
type Capabilities struct {
	KubeVersion string   // "v1.37.2"
	APIs        []string // "v1", "apps/v1", "apps/v1/Deployment"
}

// Fetched is a tree that came from elsewhere.
type Fetched struct {
	Tree    string // its name for the other questions
	Path    string // directory in it
	Version string // version or commit that it resolved to
}

// Names of facts: Argo CD's build environment, and ours.
const (
	AppName              = "ARGOCD_APP_NAME"
	AppNamespace         = "ARGOCD_APP_NAMESPACE"
	AppProject           = "ARGOCD_APP_PROJECT_NAME"
	AppRevision          = "ARGOCD_APP_REVISION"
	AppRevisionShort     = "ARGOCD_APP_REVISION_SHORT"
	AppRevisionShort8    = "ARGOCD_APP_REVISION_SHORT_8"
	AppSourcePath        = "ARGOCD_APP_SOURCE_PATH"
	AppSourceRepoURL     = "ARGOCD_APP_SOURCE_REPO_URL"
	AppSourceRevision    = "ARGOCD_APP_SOURCE_TARGET_REVISION"
	KubeVersion          = "KUBE_VERSION"
	KubeAPIVersions      = "KUBE_API_VERSIONS"
	DestinationNamespace = "HAWSER_DESTINATION_NAMESPACE"
)

// BuildEnvironment are the facts that "$NAME" in options of a source stands for.
// ARGOCD_APP_NAMESPACE is the destination namespace, as in Argo CD.
var BuildEnvironment = []string{
	AppName, AppNamespace, AppProject, AppRevision, AppRevisionShort, AppRevisionShort8,
	AppSourcePath, AppSourceRepoURL, AppSourceRevision, KubeVersion, KubeAPIVersions,
}
