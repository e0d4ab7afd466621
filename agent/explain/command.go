package explain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/agent/lua"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// ErrNo is the answer no: exit status 1. It was printed already.
var ErrNo = errors.New("no")

// subcommands make the commands of explain, in the order of the help.
var subcommands = []func() *cobra.Command{healthCommand, actionsCommand, diffCommand, planCommand}

// Command is "hawser-agent explain". Its error is ErrNo for exit status 1, any
// other for 2.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use: "explain", Short: "Say what the agent makes of objects in files, without a cluster",
		Long: `Say what the agent makes of objects in files, without a cluster.

The answer is on standard output; errors and warnings are on standard error.
Exit status: 0 yes (healthy, equal, done), 1 no, 2 there is no answer.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return fault.New(fault.Invalid, "command_missing", "explain what?").WithFix("hawser-agent explain --help lists the commands")
		},
	}
	for _, sub := range subcommands {
		c.AddCommand(sub())
	}
	return c
}

// output is the flag -o.
type output string

func (o *output) flag(c *cobra.Command) {
	*o = "text"
	c.Flags().VarP(o, "output", "o", "text or json")
}

func (o *output) String() string { return string(*o) }
func (o *output) Type() string   { return "FORMAT" }
func (o *output) Set(s string) error {
	if s != "text" && s != "json" {
		return fmt.Errorf("%q is not allowed; text and json are", s)
	}
	*o = output(s)
	return nil
}

// json reports whether JSON is asked for.
func (o *output) json() bool { return *o == "json" }

// printJSON writes v, indented, with the characters as they are.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// maxInput bounds what is read from a file or standard input.
const maxInput = 64 << 20

// readInput reads a file, or standard input for "-", and says how it is called
// in messages. flag is the flag that named it.
func readInput(c *cobra.Command, flag, path string) (name string, data []byte, err error) {
	if path == "" {
		return "", nil, fault.New(fault.Invalid, "flag_missing", "no file is given").WithField("--" + flag).WithFix("give a file, or - for standard input")
	}
	var r io.Reader
	name = path
	if path == "-" {
		name, r = "standard input", c.InOrStdin()
	} else {
		f, err := os.Open(path)
		if err != nil {
			return "", nil, unreadable(flag, err)
		}
		defer f.Close()
		r = f
	}
	data, err = io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return "", nil, unreadable(flag, err)
	}
	if len(data) > maxInput {
		return "", nil, fault.New(fault.TooLarge, "file_too_large", "%s has more than %d MiB", name, maxInput>>20).WithField("--" + flag)
	}
	return name, data, nil
}

func unreadable(flag string, err error) error {
	return fault.New(fault.Invalid, "file_unreadable", "%v", err).WithField("--" + flag)
}

// readObjects reads the objects of a file: YAML with any number of documents,
// JSON, or a List, at least one object in all. An object needs no name here: it
// may be a sketch.
func readObjects(c *cobra.Command, flag, path string) ([]manifest.Object, error) {
	objs, err := readAnyObjects(c, flag, path)
	if err == nil && len(objs) == 0 {
		err = noObject(flag, path)
	}
	return objs, err
}

func noObject(flag, path string) error {
	if path == "-" {
		path = "standard input"
	}
	return fault.New(fault.Unprocessable, "no_object", "%s has no object", path).WithField("--" + flag)
}

// readFiles reads the objects of all files that a flag names.
func readFiles(c *cobra.Command, flag string, paths []string, read func(*cobra.Command, string, string) ([]manifest.Object, error)) ([]manifest.Object, error) {
	if len(paths) == 0 {
		paths = []string{""} // which says what is missing
	}
	if i := slices.Index(paths, "-"); i >= 0 && slices.Contains(paths[i+1:], "-") {
		return nil, fault.New(fault.Invalid, "flag_conflict", "standard input is given twice").WithField("--" + flag)
	}
	var out []manifest.Object
	for _, path := range paths {
		objs, err := read(c, flag, path)
		if err != nil {
			return nil, err
		}
		out = append(out, objs...)
	}
	return out, nil
}

// readAnyObjects is readObjects for what may be empty, as the answer of a cluster.
func readAnyObjects(c *cobra.Command, flag, path string) ([]manifest.Object, error) {
	name, data, err := readInput(c, flag, path)
	if err != nil {
		return nil, err
	}
	objs, err := manifest.Parse(name, data, manifest.Limits{MaxBytes: maxInput})
	if err != nil {
		one, ok := sketch(data)
		if !ok || !fault.HasCode(err, "manifest_incomplete") {
			return nil, err
		}
		objs = []manifest.Object{one}
	}
	return objs, nil
}

// sketch reads a single object that has a kind and no name yet.
func sketch(data []byte) (manifest.Object, bool) {
	var body map[string]any
	if bytes.Contains(data, []byte("\n---")) || yaml.Unmarshal(data, &body) != nil {
		return manifest.Object{}, false
	}
	if _, ok := body["metadata"]; !ok {
		body["metadata"] = map[string]any{}
	}
	meta, ok := body["metadata"].(map[string]any)
	if !ok || meta["name"] != nil {
		return manifest.Object{}, false
	}
	meta["name"] = "sketch" // what DecodeObject asks for
	text, err := json.Marshal(body)
	if err != nil {
		return manifest.Object{}, false
	}
	o, err := manifest.DecodeObject(text)
	if err != nil {
		return manifest.Object{}, false
	}
	o.Key.Name = ""
	delete(o.Body["metadata"].(map[string]any), "name")
	return o, true
}

// overrides is the flag --overrides: scripts that people bring.
type overrides struct{ path string }

func (o *overrides) flag(c *cobra.Command) {
	c.Flags().StringVar(&o.path, "overrides", "", "scripts and rules of your own: a `DIR` laid out as Argo CD's resource_customizations,\nor a file with an argocd-cm ConfigMap")
}

// load reads the scripts; nil when the flag is not given. What they warn of and
// print goes to standard error.
func (o *overrides) load(c *cobra.Command) (*lua.Scripts, error) {
	if o.path == "" {
		return nil, nil
	}
	scripts, err := o.read(c)
	if err != nil {
		return nil, err
	}
	for _, w := range scripts.Warnings {
		c.PrintErrln("warning:", w)
	}
	scripts.Print = func(line string) { c.PrintErrln("print:", line) }
	return scripts, nil
}

func (o *overrides) read(c *cobra.Command) (*lua.Scripts, error) {
	info, err := os.Stat(o.path)
	if err != nil {
		return nil, unreadable("overrides", err)
	}
	if info.IsDir() {
		return lua.LoadDir(o.path)
	}
	_, data, err := readInput(c, "overrides", o.path)
	if err != nil {
		return nil, err
	}
	var cm struct {
		Kind string            `json:"kind"`
		Data map[string]string `json:"data"`
	}
	if err := yaml.Unmarshal(data, &cm); err != nil {
		return nil, fault.New(fault.Invalid, "overrides_invalid", "%s: %v", o.path, err).WithField("--overrides")
	}
	if cm.Kind != "ConfigMap" {
		return nil, fault.New(fault.Invalid, "overrides_invalid", "%s is neither a directory nor a file with one ConfigMap", o.path).WithField("--overrides")
	}
	return lua.Parse(cm.Data)
}

// objectName names an object in answers of several. All parts are always there;
// the group of the core kinds is empty.
type objectName struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// describe names an object for people.
func describe(o manifest.Object) string {
	if o.Key.Name == "" {
		return o.Key.GroupKind().String()
	}
	return o.Key.String()
}

// params is a flag that may be given several times: k=v.
type params map[string]string

func (p *params) Type() string   { return "NAME=VALUE" }
func (p *params) String() string { return "" }
func (p *params) Set(s string) error {
	k, v, ok := strings.Cut(s, "=")
	if !ok || k == "" {
		return fmt.Errorf("%q is not NAME=VALUE", s)
	}
	if *p == nil {
		*p = params{}
	}
	if _, twice := (*p)[k]; twice {
		return fmt.Errorf("%q is given twice", k)
	}
	(*p)[k] = v
	return nil
}

// sorted are the names, for messages.
func (p params) sorted() []string {
	out := make([]string, 0, len(p))
	for k := range p {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
