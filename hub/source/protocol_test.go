package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func packets(lines ...string) []byte {
	var out []byte
	for _, l := range lines {
		if l == "" {
			out = append(out, flushPacket...)
			continue
		}
		out = appendPacket(out, "%s", l)
	}
	return out
}

func TestReadAdvertised(t *testing.T) {
	data := packets("# service=git-upload-pack\n", "", idA+" HEAD\x00multi_ack symref=HEAD:refs/heads/main agent=git/2\n", idA+" refs/heads/main\n", idB+" refs/tags/v1\n", idA+" refs/tags/v1^{}\n", "")
	a, err := readAdvertised(bufio.NewReader(bytes.NewReader(data)), true)
	if err != nil {
		t.Fatal(err)
	}
	if a.head != idA || a.headRef != "refs/heads/main" || a.refs["refs/tags/v1"] != idB || a.peeled["refs/tags/v1"] != idA || !a.has("multi_ack") || a.capabilities["agent"] != "git/2" {
		t.Errorf("%+v", a)
	}
	empty, err := readAdvertised(bufio.NewReader(bytes.NewReader(packets(strings.Repeat("0", 40)+" capabilities^{}\x00agent=git\n", ""))), false)
	if err != nil || len(empty.refs) != 0 || empty.head != "" {
		t.Errorf("%+v %v", empty, err)
	}
	for name, data := range map[string][]byte{
		"html":        []byte("<!DOCTYPE html><html>"),
		"short":       packets(idA + " HEAD\n"),
		"other lines": packets("hello\n", ""),
		"sha256":      packets(strings.Repeat("a", 64)+" HEAD\n", ""),
		"bad length":  []byte("0003"),
		"big length":  []byte("fff9"),
	} {
		if a, err := readAdvertised(bufio.NewReader(bytes.NewReader(data)), false); err == nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
	var said *errRemote
	if _, err := readAdvertised(bufio.NewReader(bytes.NewReader(packets("ERR no such thing\n"))), false); !errors.As(err, &said) || said.text != "no such thing" {
		t.Errorf("got %v", err)
	}
}

func TestPackReader(t *testing.T) {
	data := packets("shallow "+idA, "unshallow "+idB, "", "ACK "+idA+" common\n", "NAK\n", "\x02progress", "\x01one", "\x01two", "\x02more", "")
	p, err := newPackReader(bufio.NewReader(bytes.NewReader(data)), 1000)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(p)
	if err != nil || string(got) != "onetwo" || len(p.shallows) != 1 {
		t.Errorf("%q %v %v", got, err, p.shallows)
	}
	read := func(limit int64, lines ...string) error {
		p, err := newPackReader(bufio.NewReader(bytes.NewReader(packets(lines...))), limit)
		if err != nil {
			return err
		}
		_, err = io.ReadAll(p)
		return err
	}
	var said *errRemote
	var much *errTooMuch
	if err := read(0, "NAK\n", "\x01x", "\x03upload-pack: broken\n"); !errors.As(err, &said) {
		t.Errorf("got %v", err)
	}
	if err := read(0, "ERR not our ref\n"); !errors.As(err, &said) {
		t.Errorf("got %v", err)
	}
	if err := read(20, "NAK\n", "\x01xx", "\x01xx", ""); !errors.As(err, &much) {
		t.Errorf("got %v", err)
	}
	if err := read(0, "NAK\n", "\x01xx"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	if err := read(0, "NAK\n", "\x01xx", "\x07"); !errors.Is(err, errProtocol) {
		t.Errorf("got %v", err)
	}
	if err := read(0, "hello\n"); !errors.Is(err, errProtocol) {
		t.Errorf("got %v", err)
	}
}

func TestRequestEncoding(t *testing.T) {
	a := &advertised{capabilities: map[string]string{"side-band-64k": "", "thin-pack": "", "agent": "git"}}
	got := string(wanted{wants: []string{idA, idB}, haves: []string{idB}, shallows: []string{idB}, depth: 1}.encode(a))
	want := string(packets("want "+idA+" side-band-64k thin-pack agent=hawser\n", "want "+idB+"\n", "shallow "+idB+"\n", "deepen 1\n", "", "have "+idB+"\n", "done\n"))
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAPackThatIsNone(t *testing.T) {
	s, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"nothing": "", "text": "hello, this is text", "cut": "PACK\x00\x00\x00\x02\x00\x00\x00\x05xx", "big cut": "PACK\x00\x00\x00\x02\x00\x01\x00\x05xx", "version": "PACK\x00\x00\x00\x09\x00\x00\x00\x01xxxxxxxxxxxxxxxxxxxxxxxxxxx"} {
		if err := s.addPack(strings.NewReader(data), 0); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := s.addPack(bytes.NewReader(packOf()), 0); err != nil {
		t.Errorf("an empty pack: %v", err)
	}
}

func TestStalledTransfersEnd(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	r := &stallReader{r: near, close: near.Close, limit: 30 * time.Millisecond}
	go func() { _, _ = far.Write([]byte("abc")) }()
	buf := make([]byte, 3)
	if n, err := io.ReadFull(r, buf); n != 3 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	if _, err := r.Read(buf); !fault.HasCode(err, "git_unavailable") || !errors.Is(err, errStalled) {
		t.Errorf("got %v", err)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"main", "release", "release-1", "develop", "v1.0.0"}
	for s, want := range map[string]string{"relase": "release", "mian": "main", "develp": "develop", "v1.0": "v1.0.0", "zzz": "", "": ""} {
		if got := strings.Join(nearest(s, names, 1), ","); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	if got := nearest("releas", names, 3); len(got) == 0 || got[0] != "release" {
		t.Errorf("got %v", got)
	}
}

func TestByteCache(t *testing.T) {
	c := newByteCache(4000)
	for i := range 100 {
		c.put(fmt.Sprint(i), i, 400)
		c.get("0")
	}
	if _, ok := c.get("0"); !ok {
		t.Error("what was used all the time is gone")
	}
	if _, ok := c.get("50"); ok {
		t.Error("the cache has no bound")
	}
	if c.size > 4000 || len(c.m) != c.order.Len() {
		t.Errorf("size %d, %d entries, %d in order", c.size, len(c.m), c.order.Len())
	}
	c.put("big", 1, 2000)
	if _, ok := c.get("big"); ok {
		t.Error("one value may push out everything")
	}
	c.put("99", 2, 400)
	if v, _ := c.get("99"); v != 99 {
		t.Error("a value changed under its name")
	}
}

func FuzzAdvertised(f *testing.F) {
	f.Add(packets("# service=git-upload-pack\n", "", idA+" HEAD\x00symref=HEAD:refs/heads/main\n", idB+" refs/tags/v1^{}\n", ""))
	f.Add([]byte("0000"))
	f.Add([]byte("0004000500"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, service := range []bool{true, false} {
			a, err := readAdvertised(bufio.NewReader(bytes.NewReader(data)), service)
			if err == nil {
				_, _ = a.resolve("repo", "main", "")
				_ = a.digest()
			}
		}
		if p, err := newPackReader(bufio.NewReader(bytes.NewReader(data)), 1000); err == nil {
			_, _ = io.Copy(io.Discard, p)
		}
	})
}
