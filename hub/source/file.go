package source

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
)

// fileRemote reads a repository of this machine through the git command. Only
// demos and tests may.
type fileRemote struct {
	repo URL
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

func newFileRemote(u URL) remote { return &fileRemote{repo: u} }

func (f *fileRemote) advertise(ctx context.Context) (*advertised, error) {
	f.close()
	if _, err := os.Stat(f.repo.Path); err != nil {
		return nil, &errRemote{"repository not found"}
	}
	// Not --strict: a checkout with its files is a repository too.
	f.cmd = exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "upload-pack", f.repo.Path)
	f.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}
	var err error
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := f.cmd.Start(); err != nil {
		f.cmd = nil
		return nil, err
	}
	f.out = bufio.NewReaderSize(out, 64<<10)
	if _, err := f.out.Peek(1); errors.Is(err, io.EOF) {
		return nil, &errRemote{"the directory does not appear to be a git repository"}
	}
	return readAdvertised(f.out, false)
}

func (f *fileRemote) request(ctx context.Context, body []byte) (io.Reader, error) {
	if f.out == nil {
		if _, err := f.advertise(ctx); err != nil {
			return nil, err
		}
	}
	out := f.out
	f.out = nil
	_, err := f.in.Write(body)
	return out, err
}

func (f *fileRemote) close() {
	if f.cmd == nil {
		return
	}
	_ = f.in.Close()
	_ = f.cmd.Process.Kill()
	_ = f.cmd.Wait() // killed; how it ended says nothing
	f.cmd, f.in, f.out = nil, nil, nil
}
