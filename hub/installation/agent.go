// Package installation says how an agent gets into a cluster: the whole helm command,
// and the same rendered as a manifest for clusters that are managed without Helm.
// Both are of one list of values, for the chart that is part of the program. It
// installs nothing, and keeps nothing.
package installation

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"

	"github.com/hawser-dev/hawser/charts"
	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// AgentChart is where the released chart of the agent is.
	AgentChart = "oci://ghcr.io/hawser-dev/charts/hawser-agent"
	agentName  = "hawser-agent"
	// AgentNamespace is where an agent is installed.
	AgentNamespace = "hawser-system"
)

// Profiles of rights that an agent can be installed with by a command alone, the
// default first. What each may do is in the chart's values.
var Profiles = []string{"curated", "observe", "namespaced", "cluster-admin"}

// Agent is how one agent is to be installed.
type Agent struct {
	// Hub is HOST:PORT, CAHash pins its authority, Token enrols once.
	Hub, CAHash, Token string
	// Cluster is the name that is enrolled.
	Cluster string
	// Profile is one of Profiles; empty for the chart's default.
	Profile string
	// Namespaces of the profile namespaced, and of no other.
	Namespaces []string
	// Chart to install: a reference, a URL or a path; empty for AgentChart.
	Chart string
	// Registry of the image; empty for the chart's.
	Registry string
}

// Check says what does not fit together.
func (a Agent) Check() error {
	switch {
	case a.Profile != "" && !slices.Contains(Profiles, a.Profile):
		return fault.New(fault.Invalid, "profile_unknown", "%q is no profile of rights of an agent", a.Profile).
			WithField("profile").WithFound(a.Profile, strings.Join(Profiles, ", "))
	case a.Profile == "namespaced" && len(a.Namespaces) == 0:
		return fault.New(fault.Invalid, "namespaces_missing", "an agent of the profile namespaced needs its namespaces").
			WithField("namespaces").WithFix("name the namespaces that it may look at and write in")
	case a.Profile != "namespaced" && len(a.Namespaces) > 0:
		return fault.New(fault.Invalid, "namespaces_unused", "namespaces belong to the profile namespaced").
			WithField("namespaces").WithFix("leave them out, or choose that profile")
	}
	return nil
}

// value is one that is not the chart's default.
type value struct {
	path string
	text string
	// list is for values that are one.
	list []string
	yes  bool
}

func (a Agent) values() []value {
	out := []value{
		{path: "hub.address", text: a.Hub}, {path: "hub.caHash", text: a.CAHash},
		{path: "clusterName", text: a.Cluster}, {path: "token.value", text: a.Token},
	}
	if a.Profile != "" && a.Profile != Profiles[0] {
		out = append(out, value{path: "profile", text: a.Profile})
	}
	if a.Registry != "" {
		out = append(out, value{path: "image.registry", text: a.Registry})
	}
	if len(a.Namespaces) > 0 {
		out = append(out, value{path: "rbac.namespaces", list: a.Namespaces})
	}
	if a.Profile == "cluster-admin" {
		out = append(out, value{path: "rbac.allowClusterAdmin", yes: true})
	}
	return out
}

// Helm is the whole command that installs the agent.
func (a Agent) Helm() string {
	var out strings.Builder
	fmt.Fprintf(&out, "helm upgrade --install %s %s", agentName, shell(cmp.Or(a.Chart, AgentChart)))
	if a.Chart == "" {
		out.WriteString(" --version " + charts.Version())
	}
	out.WriteString(" \\\n  --namespace " + AgentNamespace + " --create-namespace")
	for _, v := range a.values() {
		set := escaped.Replace(v.text)
		switch {
		case v.yes:
			set = "true"
		case v.list != nil:
			set = "{" + strings.Join(v.list, ",") + "}"
		}
		out.WriteString(" \\\n  --set " + shell(v.path+"="+set))
	}
	return out.String()
}

// escaped are characters that --set would take apart.
var escaped = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `{`, `\{`, `}`, `\}`)

// shell quotes what a shell would take for something else.
func shell(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@%+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Manifest is what the command would install, with its namespace, as YAML for
// kubectl apply.
func (a Agent) Manifest() (string, error) {
	c, err := load()
	if err != nil {
		return "", err
	}
	set := map[string]any{}
	for _, v := range a.values() {
		var to any = v.text
		switch {
		case v.yes:
			to = true
		case v.list != nil:
			list := []any{}
			for _, s := range v.list {
				list = append(list, s)
			}
			to = list
		}
		keys := strings.Split(v.path, ".")
		at := set
		for _, key := range keys[:len(keys)-1] {
			next, ok := at[key].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[key] = next
			}
			at = next
		}
		at[keys[len(keys)-1]] = to
	}
	caps := chartutil.DefaultCapabilities.Copy()
	// Later than anything that a template asks for; what is rendered is the same for all.
	caps.KubeVersion = chartutil.KubeVersion{Version: "v1.37.0", Major: "1", Minor: "37"}
	all, err := chartutil.ToRenderValues(c, set, chartutil.ReleaseOptions{Name: agentName, Namespace: AgentNamespace, Revision: 1, IsInstall: true}, caps)
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "manifest_invalid", "the agent's chart does not take these values")
	}
	texts, err := engine.Engine{Strict: true}.Render(c, all)
	if err != nil {
		return "", fault.Wrap(err, fault.Internal, "manifest_invalid", "the agent's chart does not render")
	}
	maps.DeleteFunc(texts, func(name, _ string) bool { return !strings.HasSuffix(name, ".yaml") })
	_, sorted, err := releaseutil.SortManifests(texts, nil, releaseutil.InstallOrder)
	if err != nil {
		return "", fault.Wrap(err, fault.Internal, "manifest_invalid", "the agent's chart does not render")
	}
	var out strings.Builder
	fmt.Fprintf(&out, "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s\n  labels:\n    pod-security.kubernetes.io/enforce: restricted\n", AgentNamespace)
	for _, m := range sorted {
		out.WriteString("---\n" + strings.TrimSpace(m.Content) + "\n")
	}
	return out.String(), nil
}

func load() (*chart.Chart, error) {
	var all []*loader.BufferedFile
	err := fs.WalkDir(charts.Agent, agentName, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := charts.Agent.ReadFile(name)
		all = append(all, &loader.BufferedFile{Name: strings.TrimPrefix(name, agentName+"/"), Data: bytes.Clone(raw)})
		return err
	})
	if err != nil {
		return nil, err
	}
	c, err := loader.LoadFiles(all)
	if err != nil {
		return nil, fmt.Errorf("charts: %s: %w", path.Join("charts", agentName), err)
	}
	return c, nil
}
