package render

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// The script tool stands for Helm in tests of what a tool may do. It does what
// the file Chart.yaml says, a line each, and puts what it learned into one
// ConfigMap:
//
//	stat PATH | read PATH | maybe PATH | list PATH | ref NAME PATH
//	fact NAME | kube | apis | chart REPOSITORY NAME VERSION PATH | base URL PATH
//	download URL | vary | twice NAME | panic | recurse | warn TEXT
//	script values PATH (does what is there instead)
func scriptWorker(in, out *os.File) error {
	set := toolset{}
	for name, t := range tools {
		set[name] = t
	}
	set[toolHelm] = tool{render: runScript, repeats: true}
	return serveWorker(in, out, set)
}

func init() { testWorkers["worker-script"] = scriptWorker }

var scriptRuns atomic.Int64

func runScript(w *workspace.Workspace, _ choice) (workspace.Output, error) {
	script, err := w.Read(workspace.Main, strings.TrimPrefix(w.Dir+"/Chart.yaml", "/"))
	if err != nil {
		return workspace.Output{}, err
	}
	var data strings.Builder
	var out workspace.Output
	note := func(format string, args ...any) { fmt.Fprintf(&data, "  - %q\n", fmt.Sprintf(format, args...)) }
	emit := func(name, text string) error {
		objects, err := manifest.Parse("script", []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+name+"}\ndata:\n  said:\n"+text), manifest.Limits{})
		out.Objects = append(out.Objects, objects...)
		return err
	}
	if name, ok := strings.CutPrefix(strings.TrimSpace(string(script)), "script values "); ok {
		if script, err = w.Read(workspace.RefTree("values"), name); err != nil {
			return out, err
		}
	}
	for line := range strings.Lines(string(script)) {
		word := strings.Fields(line)
		if len(word) == 0 {
			continue
		}
		word = append(word, "", "", "", "")
		var err error
		var text []byte
		switch word[0] {
		case "stat":
			var i workspace.Info
			i, err = w.Host.Stat(workspace.Main, word[1])
			note("stat %v %v", i.Exists, i.Dir)
		case "read":
			text, err = w.Read(workspace.Main, word[1])
			note("read %s", text)
		case "maybe":
			var ok bool
			if ok, err = w.Exists(workspace.Main, word[1]); ok {
				text, err = w.Read(workspace.Main, word[1])
			}
			note("maybe %s", text)
		case "list":
			var list []workspace.Info
			list, err = w.Host.List(workspace.Main, word[1], true)
			for _, i := range list {
				note("list %s", i.Path)
			}
		case "ref":
			text, err = w.Read(workspace.RefTree(word[1]), word[2])
			note("ref %s", text)
		case "fact":
			var v string
			v, err = w.Fact(word[1])
			note("fact %s", v)
		case "kube":
			var c workspace.Capabilities
			c, err = w.Host.Capabilities(true, false)
			note("kube %s %d", c.KubeVersion, len(c.APIs))
		case "apis":
			var c workspace.Capabilities
			c, err = w.Host.Capabilities(false, true)
			note("apis %s", c.APIs)
		case "chart":
			var f workspace.Fetched
			if f, err = w.Host.Chart(word[1], word[2], word[3]); err == nil {
				text, err = w.Read(f.Tree, word[4])
			}
			note("chart %s %s", f.Version, text)
		case "base":
			var f workspace.Fetched
			if f, err = w.Host.Base(word[1]); err == nil {
				text, err = w.Read(f.Tree, f.Path+"/"+word[2])
			}
			note("base %s", text)
		case "download":
			text, err = w.Host.Download(word[1])
			note("download %s", text)
		case "vary":
			w.MayVary()
			note("run %d", scriptRuns.Add(1))
		case "steady":
			w.MayVary()
		case "twice":
			if err = emit(word[1], "  - first\n"); err == nil {
				err = emit(word[1], "  - second\n")
			}
		case "panic":
			panic("the tool has a bug")
		case "recurse":
			err = endless(w, 0)
		case "warn":
			w.Warn("some_warning", "%s", word[1])
		}
		if err != nil {
			return out, err
		}
	}
	return out, emit("script", data.String()+"  - end\n")
}

// endless runs out of stack: depth does not become negative.
func endless(w *workspace.Workspace, depth int) error {
	var big [1024]byte
	big[len(w.Dir)%1024] = 1
	if depth < 0 {
		return nil
	}
	if err := endless(w, depth+1); err != nil {
		return fmt.Errorf("%d: %w", big[0], err)
	}
	return nil
}
