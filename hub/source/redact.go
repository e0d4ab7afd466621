package source

import (
	"github.com/hawser-dev/hawser/hub/fleet"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
)

// A careless server says what it was told, and its words become part of
// problems. They leave the worker process without the secrets of the request.

// remoteOf is what a request has to reach a server, nil for one that reaches
// none.
func remoteOf(req *workerv1.GitRequest) *workerv1.Remote {
	for _, r := range []*workerv1.Remote{
		req.GetSync().GetRemote(), req.GetProbe().GetRemote(), req.GetAppToken().GetRemote(), req.GetFetchLarge().GetRemote(), req.GetVerify().GetRemote(),
		req.GetFetch().GetCharts().GetRemote(), req.GetFetch().GetArtifacts().GetRemote(), req.GetFetch().GetFile().GetRemote(),
	} {
		if r != nil {
			return r
		}
	}
	return nil
}

// redact takes the secrets of a remote out of all problems of an answer.
func redact(r *workerv1.Remote, a *workerv1.GitAnswer) {
	if r == nil {
		return
	}
	secrets := &fleet.Credential{
		Username: r.GetUsername(), Password: r.GetPassword(), BearerToken: r.GetBearerToken(), SSHKey: r.GetSshKey(),
		ClientKey: r.GetClientKey(), GitHubAppPrivateKey: r.GetGithubApp().GetPrivateKey(), Proxy: r.GetProxy(),
	}
	if r.GetSshKey() != "" {
		secrets.Username = "" // never a token there
	}
	problems := []*workerv1.Problem{a.GetProblem()}
	for _, revision := range a.GetSynced().GetRevisions() {
		problems = append(problems, revision.GetProblem())
	}
	for _, tree := range a.GetFetch().GetTrees() {
		problems = append(problems, tree.GetProblem())
	}
	for _, step := range a.GetProbed().GetSteps() {
		step.Detail = secrets.Redact(step.GetDetail())
		problems = append(problems, step.GetProblem())
	}
	for i := 0; i < len(problems); i++ {
		p := problems[i]
		if p == nil {
			continue
		}
		problems = append(problems, p.GetMore()...)
		for _, text := range []*string{&p.Message, &p.Found, &p.Allowed, &p.Fix, &p.Cause} {
			*text = secrets.Redact(*text)
		}
	}
}
