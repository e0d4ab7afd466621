package render

import (
	"fmt"
	"slices"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
)

// conversation is the worker's end of the pipe: a host that asks the hub.
type conversation struct {
	conn *worker.Conn
	// broken is trouble with the pipe. A tool may take it for an answer; the
	// job is over all the same.
	broken error
	// lists are listings by question: the choice of the tool and the tool ask
	// for the same.
	lists map[listing][]workspace.Info
}

type listing struct {
	tree, path string
	recurse    bool
}

// maxKeptList is how long a listing may be that is kept.
const maxKeptList = 10_000

func (v *conversation) ask(q *workerv1.Question) (*workerv1.Answer, error) {
	if v.broken != nil {
		return nil, v.broken
	}
	var answer workerv1.Answer
	if v.broken = v.conn.Send(&workerv1.RenderMessage{Message: &workerv1.RenderMessage_Question{Question: q}}); v.broken == nil {
		v.broken = v.conn.Receive(&answer)
	}
	switch {
	case v.broken != nil:
		return nil, v.broken
	case answer.GetProblem() != nil:
		return nil, worker.Fault(answer.GetProblem())
	}
	return &answer, nil
}

// Stat implements workspace.Host.
func (v *conversation) Stat(tree, path string) (workspace.Info, error) {
	answer, err := v.ask(&workerv1.Question{Question: &workerv1.Question_Stat{Stat: &workerv1.Stat{Tree: tree, Path: path}}})
	if err != nil || answer.GetStat() == nil {
		return workspace.Info{Path: path}, err
	}
	return info(answer.GetStat()), nil
}

func info(f *workerv1.FileEntry) workspace.Info {
	return workspace.Info{
		Path: f.GetPath(), Exists: true, Dir: f.GetDirectory(), Size: f.GetSize(),
		Executable: f.GetExecutable(), Broken: f.GetBroken(),
	}
}

// List implements workspace.Host.
func (v *conversation) List(tree, path string, recurse bool) ([]workspace.Info, error) {
	key := listing{tree, path, recurse}
	if kept, ok := v.lists[key]; ok {
		return slices.Clone(kept), nil
	}
	answer, err := v.ask(&workerv1.Question{Question: &workerv1.Question_List{List: &workerv1.ListFiles{Tree: tree, Path: path, Recurse: recurse}}})
	if err != nil {
		return nil, err
	}
	out := make([]workspace.Info, len(answer.GetList().GetFiles()))
	for i, f := range answer.GetList().GetFiles() {
		out[i] = info(f)
	}
	if len(out) <= maxKeptList {
		if v.lists == nil {
			v.lists = map[listing][]workspace.Info{}
		}
		v.lists[key] = slices.Clone(out)
	}
	return out, nil
}

// Read implements workspace.Host.
func (v *conversation) Read(tree string, paths []string) ([][]byte, error) {
	answer, err := v.ask(&workerv1.Question{Question: &workerv1.Question_Read{Read: &workerv1.ReadFiles{Tree: tree, Paths: paths}}})
	if err != nil {
		return nil, err
	}
	return v.contents(answer, len(paths))
}

func (v *conversation) contents(answer *workerv1.Answer, want int) ([][]byte, error) {
	contents := answer.GetContents().GetContents()
	if len(contents) != want {
		v.broken = fmt.Errorf("%d files came of %d", len(contents), want)
		return nil, v.broken
	}
	return contents, nil
}

// Overrides implements host.
func (v *conversation) Overrides(path string) ([][]byte, error) {
	answer, err := v.ask(&workerv1.Question{Question: &workerv1.Question_Overrides{Overrides: &workerv1.Overrides{Path: path}}})
	if err != nil {
		return nil, err
	}
	return v.contents(answer, 2)
}

// Facts implements workspace.Host.
func (v *conversation) Facts(names []string) (map[string]string, error) {
	answer, err := v.ask(&workerv1.Question{Question: &workerv1.Question_Facts{Facts: &workerv1.Facts{Names: names}}})
	if err != nil {
		return nil, err
	}
	if values := answer.GetFacts().GetValues(); values != nil {
		return values, nil
	}
	return map[string]string{}, nil
}

// Capabilities implements workspace.Host.
func (v *conversation) Capabilities(kubeVersion, apis bool) (workspace.Capabilities, error) {
	answer, err := v.ask(&workerv1.Question{Question: &workerv1.Question_Capabilities{Capabilities: &workerv1.Capabilities{KubeVersion: kubeVersion, Apis: apis}}})
	c := answer.GetCapabilities()
	return workspace.Capabilities{KubeVersion: c.GetKubeVersion(), APIs: c.GetApis()}, err
}

// Chart implements workspace.Host.
func (v *conversation) Chart(repository, name, version string) (workspace.Fetched, error) {
	return v.fetch(&workerv1.Question{Question: &workerv1.Question_Chart{Chart: &workerv1.FetchChart{Repository: repository, Name: name, Version: version}}})
}

// Base implements workspace.Host.
func (v *conversation) Base(url string) (workspace.Fetched, error) {
	return v.fetch(&workerv1.Question{Question: &workerv1.Question_Base{Base: &workerv1.FetchBase{Url: url}}})
}

func (v *conversation) fetch(q *workerv1.Question) (workspace.Fetched, error) {
	answer, err := v.ask(q)
	f := answer.GetFetched()
	return workspace.Fetched{Tree: f.GetTree(), Path: f.GetPath(), Version: f.GetVersion()}, err
}

// Download implements workspace.Host.
func (v *conversation) Download(url string) ([]byte, error) {
	answer, err := v.ask(&workerv1.Question{Question: &workerv1.Question_Download{Download: &workerv1.Download{Url: url}}})
	if err != nil {
		return nil, err
	}
	contents, err := v.contents(answer, 1)
	if err != nil {
		return nil, err
	}
	return contents[0], nil
}

// Plugin implements workspace.Host.
func (v *conversation) Plugin(path, name string, discover bool, options []byte) (string, []byte, error) {
	answer, err := v.ask(&workerv1.Question{Question: &workerv1.Question_Plugin{Plugin: &workerv1.RunPlugin{Path: path, Name: name, Discover: discover, Options: options}}})
	return answer.GetPlugin().GetName(), answer.GetPlugin().GetManifests(), err
}
