package testbed

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options say what control plane to start. The zero value is a good one.
type Options struct {
	// Name appears in kubeconfigs and in the directory name; "cluster" when empty.
	Name string
	// Dir is for data and logs. Empty means a temporary one that Stop removes;
	// a given one must be empty or missing and stays.
	Dir string
	// Nodes is the number of simulated nodes, 1 when zero. A negative number
	// means none.
	Nodes int
	// NoKwok leaves nodes and pods without anybody who runs them: nodes are
	// created but never Ready, pods stay Pending.
	NoKwok bool
	// Kubelet answers for all nodes what an API server asks kubelets for: logs and
	// commands. Nil for nobody. It is the caller's to close, after Stop.
	Kubelet *Kubelet
	// Throttled leaves the controller-manager at its own limit of 20 requests a
	// second and few workers. Otherwise it is fast, so that measurements are of
	// the system under test.
	Throttled bool
	// AuditPolicy is the API server's audit policy in YAML. Empty means level
	// Metadata for everything, without the stage RequestReceived.
	AuditPolicy string
	// APIServerArgs are added to the API server's command line, last.
	APIServerArgs []string
	// Log receives progress lines; nil discards them.
	Log io.Writer
}

// DefaultAuditPolicy is used when Options.AuditPolicy is empty.
const DefaultAuditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// Names of the processes of a control plane, as Usage reports them.
const (
	ProcEtcd              = "etcd"
	ProcAPIServer         = "kube-apiserver"
	ProcControllerManager = "kube-controller-manager"
	ProcScheduler         = "kube-scheduler"
	ProcKwok              = "kwok"
)

const (
	startAttempts = 3
	startTimeout  = 3 * time.Minute // a loaded machine of two cores
	stopGrace     = 3 * time.Second
)

// ControlPlane is a running Kubernetes API with its controllers. Its methods may
// be called from several goroutines.
type ControlPlane struct {
	// Name is Options.Name.
	Name string
	// AdminToken is the bearer token of the user "admin" of group system:masters.
	AdminToken string

	opts      Options
	bins      Binaries
	dir       string
	releases  func() // removes dir when it is ours, frees the ports
	ca        *authority
	ports     ports
	kubeAdmin []byte

	mu      sync.Mutex
	procs   map[string]*Process // running or ended
	stopped bool
}

type ports struct{ apiServer, etcdClient, etcdPeer *port }

// StartControlPlane starts a control plane and returns when a Deployment could
// run on it: /readyz answers, the nodes are Ready and schedulable, and the
// default namespace has its service account. The programs are built first when
// they are missing. ctx bounds the start only; the control plane runs until
// Stop, or until this process ends in whatever way.
func StartControlPlane(ctx context.Context, opts Options) (*ControlPlane, error) {
	opts.Name = cmp.Or(opts.Name, "cluster")
	opts.Nodes = max(cmp.Or(opts.Nodes, 1), 0)
	opts.AuditPolicy = cmp.Or(opts.AuditPolicy, DefaultAuditPolicy)
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	bins, err := Build(ctx, opts.Log)
	if err != nil {
		return nil, err
	}
	if opts.Dir != "" {
		if err := emptyDir(opts.Dir); err != nil {
			return nil, err
		}
	}
	var last error
	for attempt := range startAttempts {
		if attempt > 0 {
			fmt.Fprintf(opts.Log, "testbed: %s lost a port to another process, starting over\n", opts.Name)
		}
		cp, err := startControlPlane(ctx, opts, bins)
		if err == nil {
			return cp, nil
		}
		last = err
		if !lostPort(err) {
			break
		}
	}
	return nil, fmt.Errorf("testbed: control plane %s did not start: %w", opts.Name, last)
}

func startControlPlane(ctx context.Context, opts Options, bins Binaries) (_ *ControlPlane, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	defer cancel()
	cp := &ControlPlane{Name: opts.Name, opts: opts, bins: bins, dir: opts.Dir, releases: func() {}, procs: map[string]*Process{}}
	if cp.dir == "" {
		cp.dir, cp.releases, err = runDir(opts.Name)
	} else {
		cp.dir, err = filepath.Abs(cp.dir)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			cp.Stop()
			if opts.Dir != "" { // the next attempt wants it empty
				emptyOut(cp.dir)
			}
		}
	}()
	free, err := reservePorts(3)
	if err != nil {
		return nil, err
	}
	removeDir := cp.releases
	cp.releases = func() {
		removeDir()
		for _, p := range free {
			p.release()
		}
	}
	cp.ports = ports{apiServer: free[0], etcdClient: free[1], etcdPeer: free[2]}
	if err := cp.writeFiles(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := cp.start(ProcEtcd); err != nil {
		return nil, err
	}
	if err := cp.await(ctx, ProcEtcd, cp.etcdAnswers); err != nil {
		return nil, err
	}
	if err := cp.start(ProcAPIServer); err != nil {
		return nil, err
	}
	if err := cp.await(ctx, ProcAPIServer, cp.apiServerReady); err != nil {
		return nil, err
	}
	controllers := []string{ProcControllerManager, ProcScheduler}
	if !opts.NoKwok {
		controllers = append(controllers, ProcKwok)
	}
	for _, name := range controllers {
		if err := cp.start(name); err != nil {
			return nil, err
		}
	}
	if err := cp.prepareNodes(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(opts.Log, "testbed: %s is ready at %s after %s\n", opts.Name, cp.URL(), time.Since(began).Round(10*time.Millisecond))
	return cp, nil
}

// emptyOut removes what a failed attempt left in a directory of the caller,
// except the logs, which the error quotes only in part.
func emptyOut(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".log" {
			os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

// URL is the address of the API server.
func (cp *ControlPlane) URL() string { return "https://" + cp.ports.apiServer.address() }

// Dir holds data and logs of the control plane.
func (cp *ControlPlane) Dir() string { return cp.dir }

// CAData is the PEM certificate that signed the API server's.
func (cp *ControlPlane) CAData() []byte { return cp.ca.pem }

// KubernetesVersion is what the API server reports.
func (cp *ControlPlane) KubernetesVersion() string { return cp.bins.KubernetesVersion }

// Stop ends all processes and removes the directory if the testbed made it. It
// may be called more than once.
func (cp *ControlPlane) Stop() {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if cp.stopped {
		return
	}
	cp.stopped = true
	// Clients first, so that none of them reports a lost server; within a group
	// side by side.
	for _, group := range [][]string{{ProcKwok, ProcScheduler, ProcControllerManager}, {ProcAPIServer}, {ProcEtcd}} {
		var ended sync.WaitGroup
		for _, name := range group {
			if p := cp.procs[name]; p != nil {
				ended.Go(func() { p.Stop(stopGrace) })
			}
		}
		ended.Wait()
	}
	cp.releases()
}

// StopAPIServer kills the API server at once, as a crash does; etcd and the
// controllers stay. Connections to it break and new ones are refused.
func (cp *ControlPlane) StopAPIServer() error {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	p := cp.procs[ProcAPIServer]
	if cp.stopped || p == nil || !p.Running() {
		return fmt.Errorf("testbed: the API server of %s is not running", cp.Name)
	}
	p.Kill()
	return nil
}

// StartAPIServer starts the API server again on the same port and data and
// returns when it is ready.
func (cp *ControlPlane) StartAPIServer(ctx context.Context) error {
	cp.mu.Lock()
	if p := cp.procs[ProcAPIServer]; cp.stopped || p != nil && p.Running() {
		cp.mu.Unlock()
		return fmt.Errorf("testbed: the API server of %s is running already, or its control plane is stopped", cp.Name)
	}
	err := cp.startLocked(ProcAPIServer)
	cp.mu.Unlock()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	defer cancel()
	return cp.await(ctx, ProcAPIServer, cp.apiServerReady)
}

func (cp *ControlPlane) start(name string) error {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return cp.startLocked(name)
}

func (cp *ControlPlane) startLocked(name string) error {
	path, args := cp.commandLine(name)
	// A bare environment: neither a proxy nor a kubeconfig of the user reaches
	// the processes.
	env := []string{"HOME=" + cp.dir, "TMPDIR=" + cp.dir, "PATH=" + os.Getenv("PATH")}
	p, err := StartProcess(name, cp.LogPath(name), cp.dir, env, path, args...)
	if err != nil {
		return err
	}
	cp.procs[name] = p
	return nil
}

// LogPath is where a process of the control plane writes its output.
func (cp *ControlPlane) LogPath(proc string) string { return filepath.Join(cp.dir, proc+".log") }

// await polls until ready says nil. It fails when any process of the control
// plane has ended, with the end of its log, or when ctx ends, with the last
// answer and the log of the process that is waited for.
func (cp *ControlPlane) await(ctx context.Context, waitFor string, ready func(context.Context) error) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		answer := ready(attempt)
		cancel()
		if err := cp.firstFailure(); err != nil {
			return err
		}
		if answer == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (last answer: %w); the end of its log:\n%s", waitFor, context.Cause(ctx), answer, Tail(cp.LogPath(waitFor), 20))
		case <-tick.C:
		}
	}
}

// firstFailure reports a process that ended by itself.
func (cp *ControlPlane) firstFailure() error {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if cp.stopped {
		return errors.New("the control plane was stopped meanwhile")
	}
	for _, name := range []string{ProcEtcd, ProcAPIServer, ProcControllerManager, ProcScheduler, ProcKwok} {
		if p := cp.procs[name]; p != nil && !p.Running() {
			return p.Failure()
		}
	}
	return nil
}

func (cp *ControlPlane) etcdAnswers(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp4", cp.ports.etcdClient.address())
	if err != nil {
		return err
	}
	return conn.Close()
}

func (cp *ControlPlane) apiServerReady(ctx context.Context) error {
	roots := x509.NewCertPool()
	roots.AddCert(cp.ca.cert)
	// The address of another process that took the port would not present a
	// certificate of this authority.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, cp.URL()+"/readyz", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+cp.AdminToken)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s: %s", resp.Status, body)
	}
	return nil
}
