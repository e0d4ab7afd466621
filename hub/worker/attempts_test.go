package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hawser-dev/hawser/shared/fault"
)

// attempts are what a worker in somebody else's hands would try. The result is
// what it got.
var attempts = map[string]func(arg string) (string, error){
	"state": func(string) (string, error) {
		text, err := json.Marshal(entered)
		return string(text), err
	},
	"read": func(path string) (string, error) {
		text, err := os.ReadFile(path)
		return string(text), err
	},
	"list": func(path string) (string, error) {
		entries, err := os.ReadDir(path)
		return strconv.Itoa(len(entries)), err
	},
	"stat":  func(path string) (string, error) { _, err := os.Stat(path); return "there", err },
	"write": func(path string) (string, error) { return "written", os.WriteFile(path, []byte("canary"), 0o600) },
	"fill": func(path string) (string, error) {
		f, err := os.Create(path)
		if err != nil {
			return "", err
		}
		for range 64 {
			if _, err := f.Write(make([]byte, 1<<20)); err != nil {
				return "", err
			}
		}
		return "filled", f.Close()
	},
	"move": func(paths string) (string, error) {
		from, to, _ := strings.Cut(paths, " ")
		return "moved", os.Rename(from, to)
	},
	"remove": func(path string) (string, error) { return "removed", os.Remove(path) },
	"dial": func(address string) (string, error) {
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			return "", err
		}
		_, err = conn.Write([]byte("canary"))
		return "connected", errors.Join(err, conn.Close())
	},
	"udp": func(address string) (string, error) {
		conn, err := net.Dial("udp", address)
		if err != nil {
			return "", err
		}
		_, err = conn.Write([]byte("canary"))
		return "sent", errors.Join(err, conn.Close())
	},
	"unix": func(path string) (string, error) {
		conn, err := net.Dial("unix", path)
		if err != nil {
			return "", err
		}
		return "connected", conn.Close()
	},
	"listen": func(string) (string, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		return "listening", l.Close()
	},
	"exec": func(args string) (string, error) {
		argv := strings.Fields(args)
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	},
	// Becomes another program in place, without a fork.
	"execve": func(path string) (string, error) { return "", syscall.Exec(path, []string{path}, nil) },
	"kill": func(pid string) (string, error) {
		n, err := strconv.Atoi(pid)
		if err != nil {
			return "", err
		}
		return "killed", syscall.Kill(n, syscall.SIGTERM)
	},
	"lookup": func(string) (string, error) { u, err := user.Current(); return u.Username, err },
	"files": func(string) (string, error) {
		var open []*os.File
		for range 1000 {
			r, w, err := os.Pipe()
			if err != nil {
				return "", err
			}
			open = append(open, r, w)
		}
		return strconv.Itoa(len(open)), nil
	},
	// Uses so much CPU time, in milliseconds.
	"spin": func(ms string) (string, error) {
		n, err := strconv.Atoi(ms)
		if err != nil {
			return "", err
		}
		for start := ownCPU(); ownCPU()-start < time.Duration(n)*time.Millisecond; {
		}
		return "spun", nil
	},
	// Waits for so long without using CPU time.
	"wait": func(ms string) (string, error) {
		n, err := strconv.Atoi(ms)
		time.Sleep(time.Duration(n) * time.Millisecond)
		return "waited", err
	},
	"flood": func(string) (string, error) {
		chunk := bytes.Repeat([]byte{0x7f}, 1<<20)
		for {
			if _, err := os.Stdout.Write(chunk); err != nil {
				os.Exit(1)
			}
		}
	},
	"shout": func(string) (string, error) {
		chunk := []byte(strings.Repeat("canary ", 100_000))
		for range 100 {
			if _, err := os.Stderr.Write(chunk); err != nil {
				return "", err
			}
		}
		return "shouted", nil
	},
	// An answer to a question that nobody asked yet.
	"chatter": func(string) (string, error) {
		var both bytes.Buffer // in one write, so that they are read as one
		c := NewConn(nil, &both)
		if err := errors.Join(c.Send(wrapperspb.String("two")), c.Send(wrapperspb.String("three"))); err != nil {
			return "", err
		}
		_, err := os.Stdout.Write(both.Bytes())
		return "one", err
	},
	// A size that never comes.
	"promise": func(size string) (string, error) {
		n, err := strconv.ParseUint(size, 10, 32)
		if err == nil {
			_, err = os.Stdout.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		}
		if err != nil {
			return "", err
		}
		time.Sleep(time.Hour)
		return "", nil
	},
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// outcome is a result or "error: …" in one text.
func outcome(text string, err error) string {
	if err != nil {
		return "error: " + fault.As(err).Error() + ": " + err.Error()
	}
	return text
}
