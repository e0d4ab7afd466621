package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/hawser-dev/hawser/shared/customization"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// maxScript bounds one file, maxDirectory all of a directory: Argo CD's own
	// has about half a megabyte.
	maxScript    = 128 << 10
	maxDirectory = 8 << 20
)

// Directory reads scripts laid out as Argo CD's resource_customizations:
// <group>/<Kind>/health.lua, <group>/<Kind>/actions/discovery.lua and
// actions/<name>/action.lua; <Kind>/… for the core group; "_" where a name has
// "*". Other files, such as tests, are passed over, and so are actions that
// nothing discovers. Links are followed, as a mounted volume has them. The
// answer has the keys of argocd-cm. An error names the place.
func Directory(dir fs.FS) (model.Customizations, error) {
	d := directory{fs: dir, out: model.Customizations{}}
	top, err := d.below(".")
	if err != nil {
		return nil, err
	}
	for _, group := range top {
		if err := d.kind(group); err != nil { // of the core group
			return nil, err
		}
		kinds, err := d.below(group)
		if err != nil {
			return nil, err
		}
		for _, kind := range kinds {
			if kind == "actions" || kind == "testdata" {
				continue
			}
			if err := d.kind(path.Join(group, kind)); err != nil {
				return nil, err
			}
		}
	}
	if err := customization.CheckTexts(d.out); err != nil {
		return nil, err
	}
	return d.out, nil
}

type directory struct {
	fs   fs.FS
	out  model.Customizations
	size int
}

// below are the directories in one.
func (d *directory) below(dir string) ([]string, error) {
	entries, err := fs.ReadDir(d.fs, dir)
	if err != nil {
		return nil, unreadable(dir, err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := fs.Stat(d.fs, path.Join(dir, e.Name()))
		if err != nil {
			return nil, unreadable(path.Join(dir, e.Name()), err)
		}
		if info.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// actions are those of one kind, as the key of argocd-cm has them.
type actions struct {
	Discovery   string       `json:"discovery.lua"`
	Definitions []definition `json:"definitions,omitempty"`
}

type definition struct {
	Name   string `json:"name"`
	Action string `json:"action.lua"`
}

func (d *directory) kind(dir string) error {
	group, kind, grouped := strings.Cut(dir, "/")
	name := strings.ReplaceAll(group, "_", "*")
	if grouped {
		name += "_" + strings.ReplaceAll(kind, "_", "*")
	}
	health, ok, err := d.script(path.Join(dir, "health.lua"))
	if err != nil {
		return err
	}
	if ok {
		d.out[customization.All+"."+customization.Health+"."+name] = health
	}
	a := actions{}
	where := path.Join(dir, "actions")
	if a.Discovery, ok, err = d.script(path.Join(where, "discovery.lua")); err != nil || !ok {
		return err
	}
	names, err := d.below(where)
	if err != nil {
		return err
	}
	for _, n := range names {
		text, ok, err := d.script(path.Join(where, n, "action.lua"))
		if err != nil {
			return err
		}
		if ok {
			a.Definitions = append(a.Definitions, definition{n, text})
		}
	}
	b, err := json.Marshal(a) // JSON is YAML
	if err != nil {
		return fault.Wrap(err, fault.Internal, "overrides_encode", "the actions of %s cannot be encoded", name)
	}
	d.out[customization.All+"."+customization.Actions+"."+name] = string(b)
	return nil
}

// script reads one file; false when there is none.
func (d *directory) script(name string) (string, bool, error) {
	f, err := d.fs.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, unreadable(name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxScript+1))
	if err != nil {
		return "", false, unreadable(name, err)
	}
	if len(b) > maxScript {
		return "", false, fault.New(fault.TooLarge, "overrides_too_large", "%s is larger than %d bytes", name, maxScript)
	}
	if d.size += len(b); d.size > maxDirectory {
		return "", false, fault.New(fault.TooLarge, "overrides_too_large", "the scripts are larger than %d bytes together", maxDirectory)
	}
	return string(b), true, nil
}

func unreadable(name string, err error) error {
	why := err.Error()
	var p *fs.PathError
	if errors.As(err, &p) {
		why = fmt.Sprint(p.Err)
	}
	return fault.Wrap(err, fault.Invalid, "overrides_unreadable", "%s cannot be read: %s", name, why)
}
