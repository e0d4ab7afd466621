// Package config keeps the command line's contexts: which hubs a person uses and
// the token for each, in one file that only its owner may read.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// File is the content of the configuration file.
type File struct {
	Current  string    `json:"current,omitempty"`
	Contexts []Context `json:"contexts,omitempty"`
}

// Context is one hub and who one is there.
type Context struct {
	Name   string `json:"name"`
	URL    string `json:"url"`
	CAHash string `json:"caHash,omitempty"`
	Token  string `json:"token,omitempty"`
	User   string `json:"user,omitempty"`
}

// Path is $HAWSER_CONFIG, or hawser/config.yaml in the user's configuration
// directory.
func Path() (string, error) {
	if p := os.Getenv("HAWSER_CONFIG"); p != "" {
		return p, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no place for the configuration: set HAWSER_CONFIG (%w)", err)
	}
	return filepath.Join(dir, "hawser", "config.yaml"), nil
}

// Load reads the file; one that does not exist is empty.
func Load() (File, error) {
	path, err := Path()
	if err != nil {
		return File{}, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, nil
	}
	if err != nil {
		return File{}, err
	}
	var f File
	if err := yaml.UnmarshalStrict(b, &f); err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Save writes the file so that a reader sees the old content or the new.
func (f File) Save() error {
	path, err := Path()
	if err != nil {
		return err
	}
	b, err := yaml.Marshal(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".config-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(b); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// Context returns the named context, or the current one when name is empty.
func (f File) Context(name string) (Context, bool) {
	if name == "" {
		name = f.Current
	}
	for _, c := range f.Contexts {
		if c.Name == name {
			return c, true
		}
	}
	return Context{}, false
}

// Set adds or replaces a context and makes it current.
func (f *File) Set(c Context) {
	f.Current = c.Name
	for i := range f.Contexts {
		if f.Contexts[i].Name == c.Name {
			f.Contexts[i] = c
			return
		}
	}
	f.Contexts = append(f.Contexts, c)
}
