package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// Definition is a ConfigManagementPlugin file, as Argo CD has it.
type Definition struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
}

// Metadata names the plugin. What else Kubernetes has there is taken and has no
// meaning.
type Metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Spec says what the plugin runs.
type Spec struct {
	Version          string     `json:"version,omitempty"`
	PreserveFileMode bool       `json:"preserveFileMode,omitempty"`
	ProvideGitCreds  bool       `json:"provideGitCreds,omitempty"`
	Init             Command    `json:"init,omitzero"`
	Generate         Command    `json:"generate"`
	Discover         Discover   `json:"discover,omitzero"`
	Parameters       Parameters `json:"parameters,omitzero"`
}

// Command is a program and its arguments. Command and Args are one list: Argo CD
// makes no difference between them.
type Command struct {
	Command []string `json:"command,omitempty"`
	Args    []string `json:"args,omitempty"`
}

func (c Command) argv() []string {
	if len(c.Command) == 0 {
		return nil
	}
	return append(append([]string(nil), c.Command...), c.Args...)
}

// Discover says which sources the plugin is for. The first that is set counts:
// FileName, Find.Glob, Find.Command.
type Discover struct {
	FileName string `json:"fileName,omitempty"`
	Find     Find   `json:"find,omitzero"`
}

// Find looks for files with a glob, or asks a command.
type Find struct {
	Glob    string   `json:"glob,omitempty"`
	Command []string `json:"command,omitempty"`
	Args    []string `json:"args,omitempty"`
}

// Parameters are those that the plugin announces.
type Parameters struct {
	Static  []Announcement `json:"static,omitempty"`
	Dynamic Command        `json:"dynamic,omitzero"`
}

// Announcement describes a parameter that the plugin understands. A dynamic
// command puts out a JSON list of them.
type Announcement struct {
	Name     string `json:"name"`
	Title    string `json:"title,omitempty"`
	Tooltip  string `json:"tooltip,omitempty"`
	Required bool   `json:"required,omitempty"`
	// ItemType is "string", "number" or "boolean"; for people.
	ItemType string `json:"itemType,omitempty"`
	// CollectionType is "string", "array" or "map"; "" means "string".
	CollectionType string            `json:"collectionType,omitempty"`
	String         string            `json:"string,omitempty"`
	Array          []string          `json:"array,omitempty"`
	Map            map[string]string `json:"map,omitempty"`
}

// maxDefinition bounds the file of a plugin.
const maxDefinition = 1 << 20

// ReadDefinition reads the file of a plugin. Codes file_unreadable,
// plugin_config_invalid, and those of shared/model/decode.
func ReadDefinition(file string) (Definition, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxDefinition {
		err = fmt.Errorf("it has %d bytes; the limit is %d", info.Size(), maxDefinition)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return Definition{}, fault.New(fault.Invalid, "file_unreadable", "the plugin file cannot be read: %s", err)
	}
	d, err := ParseDefinition(data)
	if err != nil {
		return d, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}

// ParseDefinition reads a ConfigManagementPlugin, strictly.
func ParseDefinition(data []byte) (Definition, error) {
	var d Definition
	if err := decode.Into(data, &d); err != nil {
		return d, err
	}
	return d, d.check()
}

// pluginName is what a name with its version may be: part of an Application and
// of messages.
var pluginName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$`)

func (d *Definition) check() error {
	var list fault.List
	wrong := func(field, format string, args ...any) *fault.Error {
		e := fault.New(fault.Invalid, "plugin_config_invalid", format, args...).WithField(field)
		list = append(list, e)
		return e
	}
	if d.APIVersion != "argoproj.io/v1alpha1" {
		wrong("apiVersion", "apiVersion is %q; a plugin file has argoproj.io/v1alpha1", d.APIVersion)
	}
	if d.Kind != "ConfigManagementPlugin" {
		wrong("kind", "kind is %q; a plugin file has ConfigManagementPlugin", d.Kind)
	}
	switch {
	case d.Metadata.Name == "":
		wrong("metadata.name", "the plugin has no name")
	case !pluginName.MatchString(d.Name()):
		wrong("metadata.name", "%q is no name of a plugin: letters, digits, \"-\", \"_\" and \".\", at most 128", d.Name())
	}
	s := &d.Spec
	if len(s.Generate.Command) == 0 {
		wrong("spec.generate.command", "the plugin has no command that generates").Fix = `write spec.generate.command, such as ["sh", "-c", "…"]`
	}
	commands := []struct {
		field string
		c     Command
	}{
		{"spec.init", s.Init}, {"spec.generate", s.Generate}, {"spec.parameters.dynamic", s.Parameters.Dynamic},
		{"spec.discover.find", Command{s.Discover.Find.Command, s.Discover.Find.Args}},
	}
	for _, c := range commands {
		if len(c.c.Command) > 0 && c.c.Command[0] == "" {
			wrong(c.field+".command", "the command is empty")
		}
		if len(c.c.Command) == 0 && len(c.c.Args) > 0 {
			wrong(c.field+".args", "there are arguments and no command")
		}
	}
	if s.ProvideGitCreds {
		wrong("spec.provideGitCreds", "provideGitCreds is not supported: no credential of the hub is given to a plugin").
			Fix = "remove it; give the plugin's own container what it needs, with plugin-host --env"
	}
	for _, g := range []struct{ field, pattern string }{{"spec.discover.fileName", s.Discover.FileName}, {"spec.discover.find.glob", s.Discover.Find.Glob}} {
		if g.pattern != "" && (!doublestar.ValidatePattern(g.pattern) || path.IsAbs(g.pattern)) {
			wrong(g.field, "%q is no glob that is relative to the source's directory", g.pattern)
		}
	}
	for i, a := range s.Parameters.Static {
		if why := a.wrong(); why != "" {
			wrong(fmt.Sprintf("spec.parameters.static[%d]", i), "%s", why)
		}
	}
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return list
}

// wrong says what is not right, or "".
func (a Announcement) wrong() string {
	switch {
	case a.Name == "":
		return "a parameter has no name"
	case a.CollectionType != "" && a.CollectionType != "string" && a.CollectionType != "array" && a.CollectionType != "map":
		return fmt.Sprintf("parameter %q has collectionType %q; allowed: string, array, map", a.Name, a.CollectionType)
	}
	return ""
}

// Name is what Applications call the plugin: NAME, or NAME-VERSION when there is
// a version.
func (d *Definition) Name() string {
	if d.Spec.Version == "" {
		return d.Metadata.Name
	}
	return d.Metadata.Name + "-" + d.Spec.Version
}

// identity changes when the definition does, what programs are at its commands,
// or what the operator says of the image.
func (d *Definition) identity(image string, programs func(argv []string) string) (string, error) {
	h := sha256.New()
	text, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	for _, s := range []string{string(text), image} {
		fmt.Fprintf(h, "%d %s\n", len(s), s)
	}
	for _, c := range []Command{d.Spec.Init, d.Spec.Generate, {d.Spec.Discover.Find.Command, d.Spec.Discover.Find.Args}} {
		fmt.Fprintf(h, "%s\n", programs(c.argv()))
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// parseAnnouncements reads what a dynamic command put out.
func parseAnnouncements(data []byte) ([]Announcement, error) {
	var list []Announcement
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	for _, a := range list {
		if why := a.wrong(); why != "" {
			return nil, errors.New(why)
		}
	}
	return list, nil
}
