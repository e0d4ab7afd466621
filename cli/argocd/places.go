package argocd

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func repoList(i *invocation) error {
	all, err := everything[model.Repository](i, "/repositories", nil)
	if err != nil {
		return err
	}
	documents := []map[string]any{}
	for _, r := range all {
		documents = append(documents, repository(r))
	}
	return i.showRepositories(all, documents)
}

func repoGet(i *invocation) error {
	all, err := everything[model.Repository](i, "/repositories", nil)
	if err != nil {
		return err
	}
	url := strings.TrimSuffix(i.args[0], "/")
	n := slices.IndexFunc(all, func(r model.Repository) bool { return r.URL == url || r.URL == url+".git" || r.URL+".git" == url })
	if n < 0 {
		return fault.New(fault.NotFound, "repository_unknown", "there is no repository %q", i.args[0])
	}
	return i.showRepositories(all[n:n+1], repository(all[n]))
}

// showRepositories writes the document, or a line for each.
func (i *invocation) showRepositories(all []model.Repository, document any) error {
	if done, err := i.print(document); done || err != nil {
		return err
	}
	var rows [][]string
	for _, r := range all {
		if i.str("output") == "url" {
			fmt.Fprintln(i.Out, output.Clean(r.URL))
			continue
		}
		creds := strconv.FormatBool(len(r.Holds.Kinds) > 0)
		if r.InheritedFrom != "" {
			creds = "inherited"
		}
		rows = append(rows, []string{r.Type, r.Name, r.URL, strconv.FormatBool(len(r.Holds.Insecure) > 0), strconv.FormatBool(r.Type == model.RepositoryOCI),
			strconv.FormatBool(slices.Contains(r.Holds.Options, "enableLFS")), creds, repositoryState(r), r.Error, r.Project})
	}
	if i.str("output") == "url" {
		return nil
	}
	return i.table([]string{"TYPE", "NAME", "REPO", "INSECURE", "OCI", "LFS", "CREDS", "STATUS", "MESSAGE", "PROJECT"}, rows)
}

func (i *invocation) clusters() ([]model.Cluster, error) {
	return everything[model.Cluster](i, "/clusters", nil)
}

// cluster finds one by its name or by one of its servers.
func (i *invocation) cluster(what string) (model.Cluster, error) {
	all, err := i.clusters()
	if err != nil {
		return model.Cluster{}, err
	}
	for _, c := range all {
		if c.Name == what || slices.Contains(c.Aliases, what) {
			return c, nil
		}
	}
	return model.Cluster{}, fault.New(fault.NotFound, "cluster_unknown", "there is no cluster %q", what)
}

func serverOf(c model.Cluster) string {
	if len(c.Aliases) > 0 {
		return c.Aliases[0]
	}
	return c.Name
}

func clusterList(i *invocation) error {
	all, err := i.clusters()
	if err != nil {
		return err
	}
	documents := []map[string]any{}
	for _, c := range all {
		documents = append(documents, clusterDocument(c))
	}
	if done, err := i.print(documents); done || err != nil {
		return err
	}
	var rows [][]string
	for _, c := range all {
		if i.str("output") == "server" {
			fmt.Fprintln(i.Out, output.Clean(serverOf(c)))
			continue
		}
		rows = append(rows, []string{serverOf(c), c.Name, c.KubeVersion, connection(c), strings.Join(c.Conditions, "; "), c.Project})
	}
	if i.str("output") == "server" {
		return nil
	}
	return i.table([]string{"SERVER", "NAME", "VERSION", "STATUS", "MESSAGE", "PROJECT"}, rows)
}

func clusterGet(i *invocation) error {
	documents := []map[string]any{}
	for _, name := range i.args {
		c, err := i.cluster(name)
		if err != nil {
			return err
		}
		if i.str("output") == "server" {
			fmt.Fprintln(i.Out, output.Clean(serverOf(c)))
		}
		documents = append(documents, clusterDocument(c))
	}
	if i.str("output") == "server" {
		return nil
	}
	var v any = documents
	if len(documents) == 1 {
		v = documents[0]
	}
	if done, err := i.print(v); done || err != nil {
		return err
	}
	return output.Document(i.Out, output.YAML, v)
}

func clusterRemove(i *invocation) error {
	for _, name := range i.args {
		c, err := i.cluster(name)
		if err != nil {
			return err
		}
		if err := i.api.Do(i.ctx, http.MethodDelete, "/clusters/"+url.PathEscape(c.Name), nil, nil); err != nil {
			return err
		}
		fmt.Fprintf(i.Out, "Cluster '%s' removed\n", output.Clean(name))
	}
	return nil
}

func clusterSet(i *invocation) error {
	c, err := i.cluster(i.args[0])
	if err != nil {
		return err
	}
	labels := map[string]string{}
	for k, v := range c.Labels {
		labels[k] = v
	}
	for _, l := range i.all("label") {
		k, v, ok := strings.Cut(l, "=")
		if !ok {
			return fault.New(fault.Invalid, "usage", "--label %q is not KEY=VALUE", l)
		}
		labels[k] = v
	}
	path, body := "/clusters/"+url.PathEscape(c.Name)+"/labels", map[string]any{"labels": labels}
	answer, err := i.api.Call(i.ctx, http.MethodPut, path, nil, body, nil)
	i.warn(answer)
	return err
}

// connection is Argo CD's word for whether a cluster can be spoken to.
func connection(c model.Cluster) string {
	if c.Connected {
		return "Successful"
	}
	if c.LastSeen != nil {
		return "Failed"
	}
	return "Unknown"
}

// clusterDocument is a cluster in Argo CD's shape. There is no credential in config:
// the hub has none.
func clusterDocument(c model.Cluster) map[string]any {
	state := map[string]any{"status": connection(c), "message": strings.Join(c.Conditions, "; "), "attemptedAt": c.LastSeen}
	out := map[string]any{
		"server": serverOf(c), "name": c.Name, "config": map[string]any{"tlsClientConfig": map[string]any{"insecure": false}},
		"connectionState": state, "serverVersion": c.KubeVersion,
		"info": map[string]any{"connectionState": state, "serverVersion": c.KubeVersion, "applicationsCount": c.Applications, "cacheInfo": map[string]any{}},
	}
	if len(c.Labels) > 0 {
		out["labels"] = c.Labels
	}
	if c.Project != "" {
		out["project"] = c.Project
	}
	return out
}

// repository is a repository in Argo CD's shape, without secrets, as there.
func repository(r model.Repository) map[string]any {
	out := map[string]any{"repo": r.URL, "type": r.Type, "connectionState": map[string]any{"status": repositoryState(r), "message": r.Error, "attemptedAt": r.LastCheck}}
	for key, value := range map[string]string{"name": r.Name, "project": r.Project, "username": r.Holds.Username, "proxy": r.Holds.Proxy, "noProxy": r.Holds.NoProxy, "githubAppEnterpriseBaseUrl": r.Holds.GitHubAppBaseURL} {
		if value != "" {
			out[key] = value
		}
	}
	for key, value := range map[string]int64{"githubAppID": r.Holds.GitHubAppID, "githubAppInstallationID": r.Holds.GitHubAppInstallationID} {
		if value != 0 {
			out[key] = value
		}
	}
	for key, on := range map[string]bool{
		"insecure": slices.Contains(r.Holds.Insecure, "insecureSkipVerify"), "insecureIgnoreHostKey": slices.Contains(r.Holds.Insecure, "insecureIgnoreHostKey"),
		"enableLfs": slices.Contains(r.Holds.Options, "enableLFS"), "forceHttpBasicAuth": slices.Contains(r.Holds.Options, "forceBasicAuth"),
		"enableOCI": r.Type == model.RepositoryOCI, "inheritedCreds": r.InheritedFrom != "",
	} {
		if on {
			out[key] = true
		}
	}
	return out
}

func repositoryState(r model.Repository) string {
	return firstOf(map[string]string{"ok": "Successful", "error": "Failed"}[r.State], "Unknown")
}
