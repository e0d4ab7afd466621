// Package config keeps the command line's contexts: which hubs a person uses and
// the token for each. The tokens are in the keyring of the operating system; where
// there is none they are in the file, which only its owner may read.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/google/uuid"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
)

// File is the content of the configuration file.
type File struct {
	Current string `json:"current,omitempty"`
	// Previous is what was current before; "use -" goes back to it.
	Previous string    `json:"previous,omitempty"`
	Contexts []Context `json:"contexts,omitempty"`
}

// Context is one hub and who one is there.
type Context struct {
	Name   string `json:"name"`
	URL    string `json:"url"`
	CAHash string `json:"caHash,omitempty"`
	// Token is set when it is in the file itself; otherwise Secret is the key of
	// it in the keyring.
	Token  string `json:"token,omitempty"`
	Secret string `json:"secret,omitempty"`
	// Plain: the keyring was tried and does not take the token; it is not tried
	// again before the next login.
	Plain bool   `json:"plain,omitempty"`
	User  string `json:"user,omitempty"`
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

// Load reads the file; one that does not exist is empty. A file that others can
// read is refused: what is in it is known to them.
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
	if info, err := os.Stat(path); err == nil && openToOthers(info.Mode()) {
		return File{}, fault.New(fault.Invalid, "config_open_to_others", "%s holds tokens and others can read it (%s)", path, info.Mode().Perm()).
			WithFix("chmod 600 %s; log in again if others may have read it", path)
	}
	var f File
	if err := yaml.UnmarshalStrict(b, &f); err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// openToOthers says nothing on Windows, where the bits of a mode do not tell who
// may read a file.
func openToOthers(m fs.FileMode) bool {
	return runtime.GOOS != "windows" && m.IsRegular() && m.Perm()&0o077 != 0
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
	tmp, err := os.CreateTemp(filepath.Dir(path), ".config-*") // 0600
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

// Put adds or replaces a context.
func (f *File) Put(c Context) {
	for i := range f.Contexts {
		if f.Contexts[i].Name == c.Name {
			f.Contexts[i] = c
			return
		}
	}
	f.Contexts = append(f.Contexts, c)
}

// Set adds or replaces a context and makes it current.
func (f *File) Set(c Context) {
	f.Put(c)
	f.Use(c.Name)
}

// Use makes a context current.
func (f *File) Use(name string) {
	if f.Current != name {
		f.Previous, f.Current = f.Current, name
	}
}

// Remove forgets a context.
func (f *File) Remove(name string) {
	f.Contexts = slices.DeleteFunc(f.Contexts, func(c Context) bool { return c.Name == name })
	if f.Current == name {
		f.Current = ""
	}
	if f.Previous == name {
		f.Previous = ""
	}
}

// Rename gives a context another name.
func (f *File) Rename(from, to string) {
	for i := range f.Contexts {
		if f.Contexts[i].Name == from {
			f.Contexts[i].Name = to
		}
	}
	if f.Current == from {
		f.Current = to
	}
	if f.Previous == from {
		f.Previous = to
	}
}

// Names of all contexts.
func (f File) Names() []string {
	names := make([]string, len(f.Contexts))
	for i, c := range f.Contexts {
		names[i] = c.Name
	}
	return names
}

// Secrets keeps tokens where other programs of the user cannot read them as they
// can read a file. Its calls end in a bounded time.
type Secrets interface {
	// Get returns "" when nothing is kept for the key.
	Get(key string) (string, error)
	Set(key, secret string) error
	// Delete of what is not there is no error.
	Delete(key string) error
}

// Keep gives the context a token, in the keyring if it takes it and in the file
// otherwise; inFile tells which, and why the keyring did not serve.
func (c *Context) Keep(s Secrets, token string) (inFile bool, err error) {
	c.Token, c.Plain = token, true
	if s == nil || token == "" {
		return token != "", nil
	}
	key := c.Secret
	if key == "" {
		key = uuid.NewString()
	}
	if err := s.Set(key, token); err != nil {
		return true, err
	}
	c.Token, c.Secret, c.Plain = "", key, false
	return false, nil
}

// Forget takes the token away. A keyring that does not answer keeps it.
func (c *Context) Forget(s Secrets) error {
	key := c.Secret
	c.Token, c.Secret, c.Plain = "", "", false
	if key == "" || s == nil {
		return nil
	}
	return s.Delete(key)
}

// Reveal is the context's token, "" when there is none.
func (c Context) Reveal(s Secrets) (string, error) {
	if c.Secret == "" || c.Token != "" {
		return c.Token, nil
	}
	if s == nil {
		return "", fault.New(fault.Unauthorized, "keyring_missing", "the token of context %q is in a keyring that is not there now", c.Name)
	}
	token, err := s.Get(c.Secret)
	if err != nil {
		return "", fault.Wrap(err, fault.Unauthorized, "keyring_unreadable", "the token of context %q cannot be read from the keyring", c.Name)
	}
	return token, nil
}

// Migrates reports whether the token is in the file though nobody chose that.
func (c Context) Migrates(s Secrets) bool { return s != nil && c.Token != "" && !c.Plain }
