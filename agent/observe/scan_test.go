package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestMembersAndElements(t *testing.T) {
	doc := ` { "a" : 1 , "b\"c":"x\\", "d":{"e":[1,{"f":"}"}]}, "n":null,"t":true, "l":[ 1 , "two" ,[3]] } `
	var got []string
	var array []byte
	if err := members([]byte(doc), func(k, v []byte) error {
		got = append(got, string(k)+"="+string(v))
		if string(k) == "l" {
			array = v
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if s, want := strings.Join(got, ";"), `a=1;b\"c="x\\";d={"e":[1,{"f":"}"}]};n=null;t=true;l=[ 1 , "two" ,[3]]`; s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	got = nil
	if err := elements(array, func(v []byte) error { got = append(got, string(v)); return nil }); err != nil || strings.Join(got, ";") != `1;"two";[3]` {
		t.Errorf("%v %v", got, err)
	}
	stop := errors.New("stop")
	if err := members([]byte(doc), func([]byte, []byte) error { return stop }); err != stop {
		t.Errorf("%v", err)
	}
}

func TestMalformed(t *testing.T) {
	ignore := func(k, v []byte) error { return nil }
	for _, doc := range []string{``, `null`, `[`, `{`, `{"a"`, `{"a":`, `{"a":}`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`, `{"a":"x}`, `{"a":"x\`, `{"a":"x\"}`, `{a:1}`, `{"a":[1}`, `"x"`} {
		if err := members([]byte(doc), ignore); err == nil {
			t.Errorf("members accepted %q", doc)
		}
	}
	for _, doc := range []string{``, `{`, `[`, `[1`, `[1,`, `[1,]`, `["`, `x`} {
		if err := elements([]byte(doc), func([]byte) error { return nil }); err == nil {
			t.Errorf("elements accepted %q", doc)
		}
	}
	if err := elements([]byte("null"), func([]byte) error { return io.EOF }); err != nil {
		t.Errorf("null is an empty list: %v", err)
	}
}

func TestFrames(t *testing.T) {
	docs := []string{`{"a":1}`, `{"b":"}{\"\\"}`, `{}`, `{"big":"` + strings.Repeat("x", 100_000) + `"}`, `{"c":[{"d":"[" }]}`}
	stream := docs[0] + docs[1] + "\n\n" + docs[2] + " " + docs[3] + "\n" + docs[4] + "\n"
	for name, r := range map[string]io.Reader{
		"at once":      strings.NewReader(stream),
		"byte by byte": iotest.OneByteReader(strings.NewReader(stream)),
		"by halves":    iotest.HalfReader(strings.NewReader(stream)),
		"data and EOF": iotest.DataErrReader(strings.NewReader(stream)),
	} {
		t.Run(name, func(t *testing.T) {
			f := frames{r: r}
			for _, want := range docs {
				got, err := f.next()
				if err != nil || string(got) != want {
					t.Fatalf("got %.40s, %v; want %.40s", got, err, want)
				}
			}
			if _, err := f.next(); err != io.EOF {
				t.Errorf("at the end: %v", err)
			}
			if len(f.buf) > keepBuffer {
				t.Errorf("a quiet stream keeps a buffer of %d bytes", len(f.buf))
			}
		})
	}
	for doc, want := range map[string]error{`{"a":`: io.ErrUnexpectedEOF, `x`: errJSON, `]`: errJSON, ``: io.EOF} {
		f := frames{r: strings.NewReader(doc)}
		if _, err := f.next(); err != want {
			t.Errorf("%q: %v, want %v", doc, err, want)
		}
	}
	f := frames{r: io.MultiReader(strings.NewReader(`{"a":"`), endless{})}
	if _, err := f.next(); err != errFrameTooLarge {
		t.Errorf("endless object: %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// FuzzScan holds the light reader against encoding/json: what that accepts, it
// reads the same way; and nothing makes it panic.
func FuzzScan(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a":{"b":[1,2,"x\"y"]},"c":null}`, `[{"x":-1.5e3}]`, `{"a":"\u00e4\\"}`, `{"a":`, `{}`, "{\"\\u0061\":1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var want map[string]json.RawMessage
		valid := json.Unmarshal(doc, &want) == nil && want != nil
		got := map[string]string{}
		err := members(doc, func(k, v []byte) error {
			var key string
			if json.Unmarshal(append(append([]byte{'"'}, k...), '"'), &key) == nil {
				got[key] = string(v)
			}
			_ = elements(v, func([]byte) error { return nil })
			text(v)
			return nil
		})
		fr := frames{r: iotest.HalfReader(bytes.NewReader(doc))}
		frame, ferr := fr.next()
		if !valid {
			return
		}
		if err != nil || len(got) != len(want) {
			t.Fatalf("%q: %v, %d members, want %d", doc, err, len(got), len(want))
		}
		for k, v := range want {
			if got[k] != string(v) {
				t.Fatalf("%q: member %q is %q, want %q", doc, k, got[k], v)
			}
		}
		if ferr != nil || !bytes.Equal(frame, bytes.TrimSpace(doc)) {
			t.Fatalf("frame %q of %q: %v", frame, doc, ferr)
		}
	})
}
