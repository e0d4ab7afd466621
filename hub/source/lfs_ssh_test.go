package source

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// sshCommands is an SSH server that lets everybody in; run answers a command.
func sshCommands(t *testing.T, run func(command string, c ssh.Channel) (exit uint32)) (address, knownHosts string) {
	t.Helper()
	host := signer(t)
	conf := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, nil }}
	conf.AddHostKey(host)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	session := func(c ssh.Channel, requests <-chan *ssh.Request) {
		defer c.Close()
		for req := range requests {
			var cmd struct{ Line string }
			if req.Type != "exec" || ssh.Unmarshal(req.Payload, &cmd) != nil {
				_ = req.Reply(false, nil)
				continue
			}
			_ = req.Reply(true, nil)
			exit := run(cmd.Line, c)
			_, _ = c.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{exit}))
			return
		}
	}
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				_, channels, requests, err := ssh.NewServerConn(conn, conf)
				if err != nil {
					return
				}
				go ssh.DiscardRequests(requests)
				for ch := range channels {
					c, requests, err := ch.Accept()
					if err == nil {
						go session(c, requests)
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); running.Wait() })
	address = ln.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	return address, fmt.Sprintf("[127.0.0.1]:%s %s", port, ssh.MarshalAuthorizedKey(host.PublicKey()))
}

func TestLargeFilesOverSSH(t *testing.T) {
	const secret = "CANARY-lfs"
	l, _ := newLFSServer(t)
	content := "large over ssh\n"
	repo, head := createRepo(t, l.git, "app", map[string]string{"a": l.pointer(content)})
	var plain int
	// The server of large files takes what the SSH server hands out, and no
	// other credential.
	url, pair := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/objects/batch") && r.Header.Get("Authorization") != "RemoteAuth "+secret {
			plain++
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		l.ServeHTTP(w, r)
	}), "")
	l.url = url
	answer := fmt.Sprintf(`{"href":%q,"header":{"Authorization":"RemoteAuth %s"}}`, url+"/app.git/info/lfs", secret)
	var commands []string
	var mu sync.Mutex
	address, known := sshCommands(t, func(command string, c ssh.Channel) uint32 {
		mu.Lock()
		commands = append(commands, command)
		said := answer
		mu.Unlock()
		if strings.HasPrefix(command, "git-lfs-authenticate ") {
			if said == "" {
				fmt.Fprint(c.Stderr(), "git-lfs-authenticate: not found\n")
				return 127
			}
			fmt.Fprint(c, said)
			return 0
		}
		cmd := exec.Command("git", "upload-pack", repo.Dir())
		in, err := cmd.StdinPipe()
		if err != nil {
			return 1
		}
		cmd.Stdout = c
		if cmd.Start() != nil {
			return 1
		}
		go func() {
			buf := make([]byte, 4096)
			for {
				n, err := c.Read(buf)
				_, _ = in.Write(buf[:n])
				if err != nil {
					_ = in.Close()
					return
				}
			}
		}()
		_ = cmd.Wait()
		return 0
	})
	cred := fleet.Credential{Password: "x", KnownHosts: known, CABundle: pair.authority, EnableLFS: true}
	snap := snapshot(t, newSources(t, always(cred)), "ssh://git@"+address+"/it's/app.git", head)
	if got := fileText(t, snap, "a"); got != content {
		t.Errorf("got %q", got)
	}
	if last := commands[len(commands)-1]; last != `git-lfs-authenticate '/it'\''s/app.git' download` {
		t.Errorf("ran %s", last)
	}
	if plain > 0 {
		t.Error("another credential was tried")
	}
	for _, tt := range []struct{ answer, code string }{
		{`{"href":"file:///etc"}`, "lfs_unavailable"},
		{`{"href":"http://127.0.0.1:1/x"}`, "lfs_unavailable"},
		{`{"href":"https://169.254.169.254/x"}`, "address_blocked"},
		{"hello", "lfs_unavailable"},
		{"", "repository_not_found"},
	} {
		mu.Lock()
		answer = tt.answer
		mu.Unlock()
		snap := snapshot(t, newSources(t, always(cred)), "ssh://git@"+address+"/app.git", head)
		if _, _, err := read(t.Context(), snap, "a"); !fault.HasCode(err, tt.code) {
			t.Errorf("%q: %v", tt.answer, err)
		}
	}
}
