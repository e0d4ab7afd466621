package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// pluginPrefix begins the names of programs that are commands of this one.
const pluginPrefix = "hawser-"

// plugin reports whether kubectl runs this program as its plugin.
func (s *session) plugin() bool { return s.Program == "kubectl hawser" }

// calledAs is what the program is called for people, and the arguments that its
// name stands for.
func calledAs(program string, args []string) (string, []string) {
	switch program {
	case "kubectl-hawser":
		return "kubectl hawser", args
	case "kubectl_complete-hawser": // kubectl runs it to complete its plugin's words
		return "kubectl hawser", append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	return "hawser", args
}

// found is a program on the PATH that is called like a plugin.
type foundPlugin struct {
	Name string `json:"name"`
	Path string `json:"path"`
	// Ignored says why it is not run; "" when it is.
	Ignored string `json:"ignored,omitempty"`
}

// plugins are the programs on the PATH that are called hawser-NAME. What belongs
// to the product itself is none.
func plugins(root *cobra.Command) []foundPlugin {
	var out []foundPlugin
	first := map[string]string{}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if !filepath.IsAbs(dir) {
			continue // what is run must not depend on where one stands
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			name, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".exe"), pluginPrefix)
			if !ok || name == "" || slices.Contains(ownPrograms, name) {
				continue
			}
			path := filepath.Join(dir, e.Name())
			info, err := os.Stat(path)
			if err != nil || info.IsDir() || (runtime.GOOS != "windows" && info.Mode()&0o111 == 0) {
				continue
			}
			p := foundPlugin{Name: name, Path: path}
			switch {
			case childOf(root, name) != nil:
				p.Ignored = "hawser has a command of this name"
			case first[name] != "":
				p.Ignored = first[name] + " comes first"
			default:
				first[name] = path
			}
			out = append(out, p)
		}
	}
	return out
}

// ownPrograms are parts of the product.
var ownPrograms = []string{"hub", "agent", "demo", "bench", "testrun"}

func newPlugin(s *session) *cobra.Command {
	found := listing[foundPlugin]{
		kind:    "PluginList",
		name:    func(p foundPlugin) string { return p.Name },
		columns: []output.Column{{Title: "NAME"}, {Title: "PATH"}, {Title: "IGNORED BECAUSE", Text: true}},
		row:     func(p foundPlugin) []string { return []string{p.Name, p.Path, p.Ignored} },
	}
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "Programs on the PATH that are called hawser-NAME", Args: exactArgs(),
		RunE: s.offline(func(c *call) error { return found.print(c, plugins(c.cmd.Root()), c.now()) }),
	}
	found.flags(s, list)
	c := group("plugin", "Commands of your own: programs on the PATH that are called hawser-NAME", list)
	c.Long = `A program hawser-NAME on the PATH is run as hawser NAME, unless hawser has a command
of this name. It is given HAWSER_HUB, HAWSER_CA_HASH and HAWSER_CONTEXT, and the
token by a file descriptor whose number is in HAWSER_TOKEN_FD: read it once.
HAWSER_PLUGIN_TOKEN=env puts the token into HAWSER_TOKEN as well, where every
program that the plugin starts can read it.`
	c.Annotations = map[string]string{offlineKey: "true"}
	return c
}

// runPlugin runs a plugin if args are for one; ran tells whether they were.
func (s *session) runPlugin(ctx context.Context, root *cobra.Command, args []string) (ran bool, err error) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || strings.HasPrefix(args[0], "__") || strings.ContainsAny(args[0], `/\`) ||
		childOf(root, args[0]) != nil || slices.Contains(ownPrograms, args[0]) || args[0] == "help" || args[0] == "completion" {
		return false, nil
	}
	path, err := exec.LookPath(pluginPrefix + args[0])
	if err != nil || !filepath.IsAbs(path) {
		return false, nil // the command is unknown
	}
	cmd := exec.Command(path, args[1:]...) // a terminal's signals reach it by themselves
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.In, s.Out, s.Err
	done, err := s.pluginEnvironment(cmd)
	if err != nil {
		return true, err
	}
	defer done()
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return true, exitWith(exit.ExitCode(), nil)
	case ctx.Err() != nil:
		return true, exitWith(ExitInterrupted, nil)
	}
	return true, fault.Wrap(err, fault.Internal, "plugin_failed", "%s cannot be run", path)
}

// pluginEnvironment tells the plugin which hub is meant. A plugin may have
// nothing to do with a hub, so that there is none is no error.
func (s *session) pluginEnvironment(cmd *exec.Cmd) (done func(), err error) {
	inEnvironment := os.Getenv("HAWSER_PLUGIN_TOKEN") == "env"
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "HAWSER_TOKEN", "HAWSER_TOKEN_FD", "HAWSER_HUB", "HAWSER_CA_HASH", "HAWSER_CONTEXT":
		default:
			cmd.Env = append(cmd.Env, v)
		}
	}
	done = func() {}
	s.context = os.Getenv("HAWSER_CONTEXT")
	hub, err := s.hub()
	if err != nil {
		return done, nil
	}
	name := s.context
	if file, err := loadConfig(); err == nil {
		if x, ok := file.Context(s.context); ok && x.URL == hub.URL {
			name = x.Name
		}
	}
	cmd.Env = append(cmd.Env, "HAWSER_HUB="+hub.URL, "HAWSER_CA_HASH="+hub.CAHash, "HAWSER_CONTEXT="+name)
	if hub.Token == "" {
		return done, nil
	}
	if inEnvironment {
		cmd.Env = append(cmd.Env, "HAWSER_TOKEN="+hub.Token)
	}
	if runtime.GOOS == "windows" {
		return done, nil // it has no descriptors to inherit
	}
	r, w, err := os.Pipe()
	if err != nil {
		return done, err
	}
	if _, err := fmt.Fprint(w, hub.Token); err != nil { // a pipe holds more than a token
		return done, err
	}
	if err := w.Close(); err != nil {
		return done, err
	}
	cmd.ExtraFiles = []*os.File{r}
	cmd.Env = append(cmd.Env, "HAWSER_TOKEN_FD=3")
	return func() { r.Close() }, nil
}
