package importer

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Modes in which applications are imported.
const (
	// Observe: desired state and differences are computed, nothing is written to
	// a cluster.
	Observe = "observe"
	// Manage: Hawser reconciles at once.
	Manage = "manage"
)

// Options are what a Plan depends on beside the objects.
type Options struct {
	// Mode is Observe or Manage; empty is Observe.
	Mode string
	// ControlNamespace is where Argo CD runs; empty is argocd.
	ControlNamespace string
	// Clusters and Projects are those of the hub, and Applications its
	// applications by name.
	Clusters     []Cluster
	Projects     []string
	Applications map[string]Existing
	// Customizations in force at the hub.
	Customizations model.Customizations
	// RBAC are the keys of the RBAC policy that the hub keeps.
	RBAC map[string]string
	// Plugins maps names of config management plugins to those of the hub.
	Plugins map[string]string
}

// Cluster is a cluster of the hub.
type Cluster struct {
	Name    string
	Aliases []string
	Labels  map[string]string
}

// Existing is what an import needs to know of an application of the hub.
type Existing struct {
	// ImportedFrom is its annotation, empty when nobody imported it.
	ImportedFrom string
	// Mode is its annotation: ModeObserve, or it was handed over.
	Mode string
}

// Plan is what becomes of the objects.
type Plan struct {
	Items []Item `json:"items"`

	// What is to be written, without what is blocked. Requests for repositories
	// hold secrets and are never printed.
	Projects        []model.AppProject     `json:"-"`
	Applications    []model.Application    `json:"-"`
	ApplicationSets []model.ApplicationSet `json:"-"`
	Repositories    []Repository           `json:"-"`
	Templates       []Repository           `json:"-"`
	// Customizations are those to add to the hub's.
	Customizations model.Customizations `json:"-"`
	// RBAC are the keys of the RBAC policy to add to those that the hub keeps.
	RBAC map[string]string `json:"-"`
	// GPGKeys are public keys for the hub.
	GPGKeys []GPGKey `json:"-"`
	// ClusterLabels are labels to add to clusters of the hub, by name.
	ClusterLabels map[string]map[string]string `json:"-"`

	// Enrol are the clusters that the hub does not have.
	Enrol []ClusterToEnrol `json:"clustersToEnrol,omitempty"`
	// Policy is the RBAC policy, taken apart.
	Policy *Policy `json:"policy,omitempty"`
	Counts Counts  `json:"counts"`
	// NotOfArgoCD and Unreadable are what was left out of the files.
	NotOfArgoCD []Skipped `json:"notOfArgoCD,omitempty"`
	Unreadable  []Skipped `json:"unreadable,omitempty"`
}

// ClusterToEnrol is a cluster that Argo CD reaches and the hub does not have.
// Its credentials are not in it: Hawser needs none.
type ClusterToEnrol struct {
	Name    string            `json:"name"`
	Server  string            `json:"server,omitempty"`
	Project string            `json:"project,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	// Applications that are to be deployed there.
	Applications int    `json:"applications"`
	Command      string `json:"command"`
}

// GPGKey is a public key for checking signatures.
type GPGKey struct {
	// ID is how it is called: the end of its fingerprint.
	ID string
	// Armored is the key in ASCII.
	Armored string
}

// Policy is the content of argocd-rbac-cm, taken apart.
type Policy struct {
	Default   string       `json:"default,omitempty"`
	Scopes    string       `json:"scopes,omitempty"`
	MatchMode string       `json:"matchMode,omitempty"`
	Lines     []PolicyLine `json:"lines"`
}

// PolicyLine is one line of a policy: a permission (p) or a role (g).
type PolicyLine struct {
	Key    string   `json:"key"` // of the ConfigMap
	Line   int      `json:"line"`
	Type   string   `json:"type"` // p or g
	Fields []string `json:"fields"`
}

// Repository is the request that registers a repository or, as a template, a
// credential for all below a URL. It holds secrets: its text does not.
type Repository struct {
	URL                     string `json:"url"`
	Project                 string `json:"project,omitempty"`
	Type                    string `json:"type,omitempty"`
	Name                    string `json:"name,omitempty"`
	Username                string `json:"username,omitempty"`
	Password                string `json:"password,omitempty"`
	BearerToken             string `json:"bearerToken,omitempty"`
	ForceBasicAuth          bool   `json:"forceBasicAuth,omitempty"`
	SSHKey                  string `json:"sshKey,omitempty"`
	KnownHosts              string `json:"knownHosts,omitempty"`
	InsecureIgnoreHostKey   bool   `json:"insecureIgnoreHostKey,omitempty"`
	CABundle                string `json:"caBundle,omitempty"`
	ClientCert              string `json:"clientCert,omitempty"`
	ClientKey               string `json:"clientKey,omitempty"`
	InsecureSkipVerify      bool   `json:"insecureSkipVerify,omitempty"`
	InsecurePlainHTTP       bool   `json:"insecurePlainHTTP,omitempty"`
	Proxy                   string `json:"proxy,omitempty"`
	NoProxy                 string `json:"noProxy,omitempty"`
	GitHubAppID             int64  `json:"githubAppID,omitempty"`
	GitHubAppInstallationID int64  `json:"githubAppInstallationID,omitempty"`
	GitHubAppPrivateKey     string `json:"githubAppPrivateKey,omitempty"`
	GitHubAppBaseURL        string `json:"githubAppBaseURL,omitempty"`
	EnableLFS               bool   `json:"enableLFS,omitempty"`
	SkipTest                bool   `json:"skipTest,omitempty"`
}

// String is the URL without what is in it of a credential.
func (r Repository) String() string { return maskURL(r.URL) }

// GoString is String, for %#v.
func (r Repository) GoString() string { return r.String() }

// Plan is what becomes of what was found.
func (f Found) Plan(o Options) Plan {
	p := Translate(f.Objects, o)
	p.NotOfArgoCD, p.Unreadable = f.Foreign, f.Unreadable
	return p
}

// Translate decides what becomes of the objects. It is a pure function: the same
// objects and options give the same Plan.
func Translate(objects []Object, o Options) Plan {
	if o.Mode == "" {
		o.Mode = Observe
	}
	if o.ControlNamespace == "" {
		o.ControlNamespace = "argocd"
	}
	t := &translator{options: o, seen: map[string]string{}, projects: map[string]bool{model.DefaultProject: true}, imported: map[string]bool{}, usedBy: map[string]int{}, hosts: map[string]int{}, sshHosts: map[string]bool{}}
	for _, name := range o.Projects {
		t.projects[name] = true
	}
	for _, obj := range objects {
		t.look(obj)
	}
	// Projects before what belongs to them, trust before the repositories it is
	// for, clusters before those who deploy there.
	order := func(x Object) int {
		switch {
		case x.Kind == "ConfigMap":
			return 0
		case x.Kind == model.KindAppProject:
			return 1
		case x.Kind == "Secret":
			return 2
		case x.Kind == model.KindApplicationSet:
			return 3
		}
		return 4
	}
	sorted := slices.Clone(objects)
	slices.SortStableFunc(sorted, func(x, y Object) int {
		return cmp.Or(cmp.Compare(order(x), order(y)), strings.Compare(x.Kind, y.Kind), strings.Compare(x.Name, y.Name), strings.Compare(x.Namespace, y.Namespace))
	})
	for _, obj := range sorted {
		t.object(obj)
	}
	t.finish()
	return t.plan
}
