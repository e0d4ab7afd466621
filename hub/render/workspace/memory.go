package workspace

import (
	"path"
	"sort"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Memory is a Host of texts, for tests of tools.
type Memory struct {
	// Trees are files by tree and path. "" is the source itself.
	Trees map[string]map[string]string
	// Values are facts.
	Values map[string]string
	Caps   Capabilities
	// Charts and Bases name trees: "repository name version" and URL.
	Charts map[string]Fetched
	Bases  map[string]Fetched
	// Files are downloads by URL.
	Files map[string]string
	// Asked records every question, as "list /a recurse".
	Asked []string
}

func (m *Memory) ask(parts ...string) { m.Asked = append(m.Asked, strings.Join(parts, " ")) }

// Stat implements Host.
func (m *Memory) Stat(tree, p string) (Info, error) {
	m.ask("stat", tree+"/"+p)
	if text, ok := m.Trees[tree][p]; ok {
		return Info{Path: p, Exists: true, Size: int64(len(text))}, nil
	}
	for file := range m.Trees[tree] {
		if p == "" || strings.HasPrefix(file, p+"/") {
			return Info{Path: p, Exists: true, Dir: true}, nil
		}
	}
	return Info{Path: p}, nil
}

// List implements Host.
func (m *Memory) List(tree, dir string, recurse bool) ([]Info, error) {
	if recurse {
		m.ask("list", tree+"/"+dir, "recurse")
	} else {
		m.ask("list", tree+"/"+dir)
	}
	prefix := dir + "/"
	if dir == "" {
		prefix = ""
	}
	found := map[string]Info{}
	for p, text := range m.Trees[tree] {
		rest, below := strings.CutPrefix(p, prefix)
		if !below {
			continue
		}
		if name, _, nested := strings.Cut(rest, "/"); nested && !recurse {
			found[path.Join(dir, name)] = Info{Path: path.Join(dir, name), Exists: true, Dir: true}
			continue
		}
		found[p] = Info{Path: p, Exists: true, Size: int64(len(text))}
	}
	if len(found) == 0 && dir != "" {
		return nil, fault.New(fault.Unprocessable, "path_not_found", "path %q does not exist", dir)
	}
	out := make([]Info, 0, len(found))
	for _, i := range found {
		out = append(out, i)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out, nil
}

// Read implements Host.
func (m *Memory) Read(tree string, paths []string) ([][]byte, error) {
	out := make([][]byte, len(paths))
	for i, p := range paths {
		m.ask("read", tree+"/"+p)
		text, ok := m.Trees[tree][p]
		if !ok {
			return nil, fault.New(fault.Unprocessable, "file_not_found", "%s does not exist", p)
		}
		out[i] = []byte(text)
	}
	return out, nil
}

// Facts implements Host.
func (m *Memory) Facts(names []string) (map[string]string, error) {
	out := map[string]string{}
	for _, n := range names {
		m.ask("fact", n)
		if v, ok := m.Values[n]; ok {
			out[n] = v
		}
	}
	return out, nil
}

// Capabilities implements Host.
func (m *Memory) Capabilities(kubeVersion, apis bool) (Capabilities, error) {
	m.ask("capabilities")
	var c Capabilities
	if kubeVersion {
		c.KubeVersion = m.Caps.KubeVersion
	}
	if apis {
		c.APIs = m.Caps.APIs
	}
	return c, nil
}

// Chart implements Host.
func (m *Memory) Chart(repository, name, version string) (Fetched, error) {
	m.ask("chart", repository, name, version)
	if f, ok := m.Charts[repository+" "+name+" "+version]; ok {
		return f, nil
	}
	return Fetched{}, fault.New(fault.Unprocessable, "chart_not_found", "chart %q %s is not in %s", name, version, repository)
}

// Base implements Host.
func (m *Memory) Base(url string) (Fetched, error) {
	m.ask("base", url)
	if f, ok := m.Bases[url]; ok {
		return f, nil
	}
	return Fetched{}, fault.New(fault.Denied, "remote_base_forbidden", "%s is remote", url)
}

// Download implements Host.
func (m *Memory) Download(url string) ([]byte, error) {
	m.ask("download", url)
	if text, ok := m.Files[url]; ok {
		return []byte(text), nil
	}
	return nil, fault.New(fault.Denied, "remote_base_forbidden", "%s is remote", url)
}

// Plugin implements Host; there is none.
func (m *Memory) Plugin(_, name string, discover bool, _ []byte) (string, []byte, error) {
	m.ask("plugin", name)
	if discover {
		return "", nil, nil
	}
	return "", nil, fault.New(fault.Unprocessable, "plugin_unknown", "there is no plugin %q", name)
}
