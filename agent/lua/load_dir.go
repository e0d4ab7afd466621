package lua

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/luacode"
)

// Names of files in Argo CD's layout.
const (
	healthFile    = "health.lua"
	actionsDir    = "actions"
	discoveryFile = "discovery.lua"
	actionFile    = "action.lua"
)

// maxScripts bounds what one directory or ConfigMap may hold. Argo CD ships
// about 400.
const maxScripts = 5000

// LoadDir reads the scripts of a directory laid out as Argo CD's
// resource_customizations:
//
//	<group>/<Kind>/health.lua
//	<group>/<Kind>/actions/discovery.lua
//	<group>/<Kind>/actions/<name>/action.lua
//
// Kinds of the core group have no group directory: Pod/health.lua. "_" in the
// name of a group or kind stands for any text: _.crossplane.io/_. A kind that is
// named wins over patterns, and of patterns the one with more text. (Argo CD
// takes the first in the order of the directory; where patterns do not overlap,
// as in its own, that is the same.)
//
// Test data and other files beside the scripts are skipped. Errors are
// fault.Errors: overrides_unreadable, lua_script_invalid, lua_script_too_large.
// All scripts that do not compile are named.
func LoadDir(dir string) (*Scripts, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.NotFound, "overrides_unreadable", "there is no directory %s", dir)
	case err != nil:
		return nil, fault.New(fault.Invalid, "overrides_unreadable", "%v", err)
	case !info.IsDir():
		return nil, fault.New(fault.Invalid, "overrides_unreadable", "%s is not a directory", dir)
	}
	l := dirLoader{root: dir, scripts: newScripts()}
	groups, err := l.subdirs("")
	if err != nil {
		return nil, err
	}
	for _, group := range groups {
		// Its own scripts make it a kind of the core group.
		if err := l.kind("", group, group); err != nil {
			return nil, err
		}
		kinds, err := l.subdirs(group)
		if err != nil {
			return nil, err
		}
		for _, kind := range kinds {
			if kind == actionsDir || kind == "testdata" {
				continue
			}
			dir := path.Join(group, kind)
			if _, err := l.subdirs(dir); err != nil { // for files in the wrong place
				return nil, err
			}
			if err := l.kind(group, kind, dir); err != nil {
				return nil, err
			}
		}
	}
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	if l.found == 0 {
		l.warn("no script was found in " + dir + "; the layout is <group>/<Kind>/health.lua and <group>/<Kind>/actions/…")
	}
	return l.scripts, nil
}

type dirLoader struct {
	root     string
	scripts  *Scripts
	found    int
	problems fault.List
}

func (l *dirLoader) warn(text string) { l.scripts.Warnings = append(l.scripts.Warnings, text) }

// subdirs are the directories in one, by name. Links are followed, as a mounted
// volume has them.
func (l *dirLoader) subdirs(rel string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(l.root, filepath.FromSlash(rel)))
	if err != nil {
		return nil, fault.New(fault.Invalid, "overrides_unreadable", "%v", err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := os.Stat(filepath.Join(l.root, filepath.FromSlash(rel), e.Name()))
		if err != nil {
			return nil, fault.New(fault.Invalid, "overrides_unreadable", "%v", err)
		}
		if info.IsDir() {
			out = append(out, e.Name())
		} else if strings.HasSuffix(e.Name(), ".lua") && !known(rel, e.Name()) {
			l.warn(path.Join(rel, e.Name()) + " is not where a script is looked for; the layout is <group>/<Kind>/health.lua and <group>/<Kind>/actions/…")
		}
	}
	return out, nil
}

// known reports whether a Lua file has a name and place that mean something.
func known(dir, name string) bool {
	switch name {
	case healthFile:
		return dir != ""
	case discoveryFile:
		return path.Base(dir) == actionsDir
	case actionFile:
		return path.Base(path.Dir(dir)) == actionsDir
	}
	return false
}

// kind reads what there is for one kind.
func (l *dirLoader) kind(group, kind, dir string) error {
	group, kind = strings.ReplaceAll(group, "_", "*"), strings.ReplaceAll(kind, "_", "*")
	p, err := l.script(path.Join(dir, healthFile))
	if err != nil {
		return err
	}
	if p != nil {
		l.scripts.health.add(group, kind, p)
	}
	names, err := l.actionNames(path.Join(dir, actionsDir))
	if err != nil {
		return err
	}
	a := &actions{run: map[string]*program{}}
	if a.discovery, err = l.script(path.Join(dir, actionsDir, discoveryFile)); err != nil {
		return err
	}
	for _, name := range names {
		if _, err := l.subdirs(path.Join(dir, actionsDir, name)); err != nil {
			return err
		}
		p, err := l.script(path.Join(dir, actionsDir, name, actionFile))
		if err != nil {
			return err
		}
		if p != nil {
			a.run[name] = p
		}
	}
	if a.discovery == nil && len(a.run) == 0 {
		return nil
	}
	if a.discovery == nil {
		l.warn(path.Join(dir, actionsDir) + " has no " + discoveryFile + ", so its actions are not offered")
	}
	l.scripts.actions.add(group, kind, a)
	return nil
}

func (l *dirLoader) actionNames(dir string) ([]string, error) {
	if info, err := os.Stat(filepath.Join(l.root, filepath.FromSlash(dir))); err != nil || !info.IsDir() {
		return nil, nil
	}
	return l.subdirs(dir)
}

// script reads and compiles one file; nil when it does not exist.
func (l *dirLoader) script(rel string) (*program, error) {
	file := filepath.Join(l.root, filepath.FromSlash(rel))
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fault.New(fault.Invalid, "overrides_unreadable", "%v", err)
	case !info.Mode().IsRegular():
		return nil, fault.New(fault.Invalid, "overrides_unreadable", "%s is not a file", file)
	case info.Size() > luacode.MaxSource:
		l.problems = append(l.problems, fault.New(fault.Invalid, "lua_script_too_large", "%s: the script has %d bytes; %d are allowed", rel, info.Size(), luacode.MaxSource))
		return nil, nil
	}
	if l.found++; l.found > maxScripts {
		return nil, fault.New(fault.TooLarge, "overrides_unreadable", "%s has more than %d scripts", l.root, maxScripts)
	}
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Invalid, "overrides_unreadable", "%v", err)
	}
	p, err := compile(rel, string(source))
	if err != nil {
		l.problems = append(l.problems, fault.As(err))
	}
	return p, nil
}
