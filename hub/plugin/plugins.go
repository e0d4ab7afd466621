package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// Options of Plugins.
type Options struct {
	// Sockets is a directory with the sockets (*.sock) of hosts that others run;
	// it is looked at again from time to time. "" means that there is none.
	Sockets string
	// Files are plugin files that the hub starts a host for.
	Files []string
	// Command starts a host, before its flags: the hub's binary and
	// "plugin-host".
	Command []string
	// Dir is where the sockets of these hosts are put.
	Dir string
	// Hide are directories that the commands of these hosts must not see, where
	// the kernel can hide them.
	Hide []string
	// Limits bound what is sent to hosts and taken from them.
	Limits Limits
	Log    *slog.Logger
}

// Limits of one run, at both ends. Zero means the default.
type Limits struct {
	Time        time.Duration // 90 s, all commands of a run together
	Memory      int64         // bytes: of a process's data, and of all processes together; 1 GiB
	OutputBytes int64         // what generate may put out; 32 MiB
	InputBytes  int64         // all files of a source; 1 GiB
	InputFiles  int           // 100,000
	FileBytes   int64         // one file that a command writes; 1 GiB
	Processes   int           // and threads, of one run; 512
}

func (l Limits) complete() Limits {
	if l.Time <= 0 {
		l.Time = 90 * time.Second
	}
	if l.Memory <= 0 {
		l.Memory = 1 << 30
	}
	if l.OutputBytes <= 0 {
		l.OutputBytes = 32 << 20
	}
	if l.InputBytes <= 0 {
		l.InputBytes = 1 << 30
	}
	if l.InputFiles <= 0 {
		l.InputFiles = 100_000
	}
	if l.FileBytes <= 0 {
		l.FileBytes = 1 << 30
	}
	if l.Processes <= 0 {
		l.Processes = 512
	}
	return l
}

// Files are the files that a plugin works on. Paths are relative to the root and
// clean; "" is the root. Links are what they lead to. hub/render's Snapshot is
// one.
type Files interface {
	// Stat tells what is at a path; mode, as Git has it, is 0 when nothing is.
	Stat(ctx context.Context, path string) (hash string, size int64, mode uint32, err error)
	// List visits what is in a directory, or with recurse all files below it.
	List(ctx context.Context, dir string, recurse bool, visit func(path, hash string, size int64, mode uint32, broken bool)) error
	// Contents returns the contents that hashes identify.
	Contents(ctx context.Context, hashes []string) ([][]byte, error)
}

// Run is one call of a plugin.
type Run struct {
	// Name of the plugin; "" means the one that discovers the source.
	Name string
	// Dir is the directory of the source in Files.
	Dir   string
	Files Files
	// Env is the build environment.
	Env map[string]string
	// Options of the source.
	Options model.PluginSource
}

// rescanEvery is how often the directory of sockets is looked at.
const rescanEvery = 3 * time.Second

// Plugins are all plugins of a hub. It is safe for concurrent use, as long as
// the Files of each Run are.
type Plugins struct {
	opts Options
	log  *slog.Logger
	// ctx ends with Close; work are the goroutines that end then.
	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup
	// scratch is a directory for sockets that is removed in the end; "" is none.
	scratch string

	mu    sync.Mutex
	hosts map[string]*host // by socket
	found discoveries
}

// Connect starts the hosts of opts.Files and connects to those in opts.Sockets.
// It waits a few seconds for hosts that do not answer yet; those that still do
// not are connected to when they do. Code plugin_unavailable when a host of
// opts.Files cannot be started, and those of ReadDefinition. Close ends it.
func Connect(opts Options) (*Plugins, error) {
	opts.Limits = opts.Limits.complete()
	p := &Plugins{opts: opts, log: opts.Log, hosts: map[string]*host{}}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if opts.Sockets != "" {
		if info, err := os.Stat(opts.Sockets); err != nil || !info.IsDir() {
			return nil, fault.New(fault.Invalid, "config_invalid", "the directory of plugin sockets %s is not there", opts.Sockets).WithField("--plugin-sockets")
		}
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	if err := p.startOwn(); err != nil {
		p.Close()
		return nil, err
	}
	p.scan()
	p.await(firstAnswer)
	p.work.Go(p.rescan)
	return p, nil
}

// firstAnswer is how long Connect waits for hosts that others run.
const firstAnswer = 3 * time.Second

// maxSocketDir leaves room for names of sockets in the 104 to 108 characters that
// systems have for their paths.
const maxSocketDir = 80

// startOwn starts the hosts that are the hub's own and waits until they are
// ready.
func (p *Plugins) startOwn() error {
	if len(p.opts.Files) == 0 {
		return nil
	}
	if len(p.opts.Dir) > maxSocketDir {
		var err error
		if p.scratch, err = os.MkdirTemp("", "hawser-plugins-"); err != nil {
			return fault.Wrap(err, fault.Internal, "plugin_unavailable", "the directory for the sockets of plugins cannot be made")
		}
		p.opts.Dir = p.scratch
	}
	if err := os.MkdirAll(p.opts.Dir, 0o700); err != nil {
		return fault.Wrap(err, fault.Internal, "plugin_unavailable", "the directory for the sockets of plugins cannot be made")
	}
	byName := map[string]string{}
	for _, file := range p.opts.Files {
		d, err := ReadDefinition(file)
		if err != nil {
			return err
		}
		name := d.Name()
		if other, twice := byName[name]; twice {
			return fault.New(fault.Invalid, "config_invalid", "%s and %s are both plugin %q", other, file, name).WithField("--plugin")
		}
		byName[name] = file
		sum := sha256.Sum256([]byte(name))
		socket := filepath.Join(p.opts.Dir, hex.EncodeToString(sum[:6])+".sock")
		own, err := p.supervise(name, file, socket)
		if err != nil {
			return err
		}
		h, err := p.connect(socket)
		if err != nil {
			return err
		}
		h.own = own
		p.hosts[socket] = h
	}
	return nil
}

// scan finds sockets that came and forgets those that are gone. A socket that is
// still there and does not answer keeps its plugin known.
func (p *Plugins) scan() {
	if p.opts.Sockets == "" {
		return
	}
	entries, err := os.ReadDir(p.opts.Sockets)
	if err != nil {
		p.log.Warn("the directory of plugin sockets cannot be read", "error", err)
		return
	}
	there := map[string]bool{}
	for _, e := range entries {
		if e.Type()&os.ModeSocket != 0 && strings.HasSuffix(e.Name(), ".sock") {
			there[filepath.Join(p.opts.Sockets, e.Name())] = true
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return
	}
	for socket := range there {
		if p.hosts[socket] == nil {
			h, err := p.connect(socket)
			if err != nil {
				p.log.Warn("a plugin host cannot be connected to", "socket", filepath.Base(socket), "error", err)
				continue
			}
			p.hosts[socket] = h
		}
	}
	for socket, h := range p.hosts {
		if h.own == nil && !there[socket] {
			delete(p.hosts, socket)
			h.close()
		}
	}
}

func (p *Plugins) rescan() {
	tick := time.NewTicker(rescanEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-tick.C:
			p.scan()
		}
	}
}

// await waits until every host has said which plugin it is, but not for long.
func (p *Plugins) await(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for _, h := range p.all() {
		select {
		case <-h.described:
		case <-timer.C:
			return
		case <-p.ctx.Done():
			return
		}
	}
}

// all hosts, in the order of their sockets.
func (p *Plugins) all() []*host {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Values(p.hosts), func(a, b *host) int { return strings.Compare(a.socket, b.socket) })
}

// Close ends the hosts that the hub started and waits until they are gone.
func (p *Plugins) Close() {
	p.stop()
	for _, h := range p.all() {
		h.close()
	}
	p.work.Wait()
	if p.scratch != "" {
		_ = os.RemoveAll(p.scratch) // hosts have removed their sockets
	}
}

// Identity changes when plugins come or go or their configuration changes. A
// plugin whose host is down for a while is still there.
func (p *Plugins) Identity() string {
	var lines []string
	for _, h := range p.all() {
		if d := h.description(); d != nil {
			lines = append(lines, d.GetName()+" "+d.GetIdentity())
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(lines), "\n")))
	return hex.EncodeToString(sum[:16])
}

// known are the hosts by plugin. unknown names sockets whose plugin nobody knows
// yet.
func (p *Plugins) known() (byName map[string]*host, unknown []string) {
	byName = map[string]*host{}
	for _, h := range p.all() {
		d := h.description()
		if d == nil {
			unknown = append(unknown, filepath.Base(h.socket))
			continue
		}
		// Of two hosts of one plugin one that answers is taken.
		if other := byName[d.GetName()]; other == nil || !other.up() && h.up() {
			byName[d.GetName()] = h
		}
	}
	return byName, unknown
}

// named finds the host of a plugin. Codes plugin_unknown, plugin_unavailable.
func (p *Plugins) named(name string) (*host, error) {
	if byName, _ := p.known(); byName[name] != nil {
		return byName[name], nil
	}
	p.scan() // it may have come just now
	p.await(time.Second)
	byName, unknown := p.known()
	if byName[name] != nil {
		return byName[name], nil
	}
	if len(unknown) > 0 {
		return nil, unanswered(unknown)
	}
	names := slices.Sorted(maps.Keys(byName))
	allowed := strings.Join(names, ", ")
	if allowed == "" {
		allowed = "none"
	}
	e := fault.New(fault.Unprocessable, "plugin_unknown", "there is no plugin %q; there are: %s", clip(name, 60), clip(allowed, 180)).
		WithField("spec.source.plugin.name").WithFound(clip(name, 60), allowed)
	if near := nearest.Word(name, names); near != "" {
		return nil, e.WithFix("did you mean %q?", near)
	}
	return nil, e.WithFix("start the hub with --plugin, or put the plugin's socket where --plugin-sockets says")
}

func unanswered(sockets []string) error {
	return fault.New(fault.Upstream, "plugin_unavailable", "the plugin host at %s does not answer, so nobody knows which sources are for its plugin",
		clip(strings.Join(sockets, ", "), 120)).WithFix("start it, or remove its socket")
}

// Discover names the plugin that is there for a source, "" when none is. When
// several are, it is the first by name. A plugin that cannot be asked is an error
// (code plugin_unavailable): what the source is must not depend on which hosts
// happen to be up.
func (p *Plugins) Discover(ctx context.Context, run Run) (string, error) {
	byName, unknown := p.known()
	if len(unknown) > 0 {
		p.await(time.Second)
		if byName, unknown = p.known(); len(unknown) > 0 {
			return "", unanswered(unknown)
		}
	}
	list := listing{run: run}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if !discovers(byName[name].description()) {
			continue
		}
		found, err := p.discovered(ctx, byName[name], &list, run)
		if err != nil {
			return "", err
		}
		if found {
			return name, nil
		}
	}
	return "", nil
}

// Generate returns what a plugin puts out for a source, and the plugin's name. A
// plugin that is named and has a rule of discovery must discover the source, as
// in Argo CD. Codes plugin_unknown, plugin_unavailable (nothing was learnt about
// the source), plugin_not_for_source, plugin_failed, too_large.
func (p *Plugins) Generate(ctx context.Context, run Run) (name string, manifests []byte, err error) {
	h, err := p.choose(ctx, run)
	if err != nil {
		return run.Name, nil, err
	}
	name = h.description().GetName()
	manifests, err = h.generate(ctx, p.opts.Limits, run)
	return name, manifests, err
}

// Parameters returns the parameters that a plugin announces for a source: the
// static ones, and those that its dynamic command tells.
func (p *Plugins) Parameters(ctx context.Context, run Run) (name string, list []Announcement, err error) {
	h, err := p.choose(ctx, run)
	if err != nil {
		return run.Name, nil, err
	}
	name = h.description().GetName()
	list, err = h.parameters(ctx, p.opts.Limits, run)
	return name, list, err
}

// Names are the plugins that are known, sorted.
func (p *Plugins) Names() []string {
	byName, _ := p.known()
	return slices.Sorted(maps.Keys(byName))
}

// choose finds the host for a run.
func (p *Plugins) choose(ctx context.Context, run Run) (*host, error) {
	if run.Name == "" {
		name, err := p.Discover(ctx, run)
		if err != nil {
			return nil, err
		}
		if name == "" {
			return nil, fault.New(fault.Unprocessable, "plugin_unknown", "the source names no plugin, and none of them is for its files").
				WithField("spec.source.plugin.name").WithFix("name one of: %s", strings.Join(p.Names(), ", "))
		}
		return p.named(name)
	}
	h, err := p.named(run.Name)
	if err != nil || !discovers(h.description()) {
		return h, err
	}
	found, err := p.discovered(ctx, h, &listing{run: run}, run)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fault.New(fault.Unprocessable, "plugin_not_for_source", "plugin %q is not for %s: %s", clip(run.Name, 60),
			place(run.Dir), rule(h.description())).WithField("spec.source.plugin.name").
			WithFix("correct the source's path, or the plugin's spec.discover")
	}
	return h, nil
}

func place(dir string) string {
	if dir == "" {
		return "the root of the repository"
	}
	return "directory " + clip(dir, 100)
}

// clip shortens what strangers wrote for a message.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// given is the error of a caller that went away.
func given(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return fmt.Errorf("%w", cause)
	}
	return ctx.Err()
}
