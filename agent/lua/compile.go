package lua

import (
	glua "github.com/yuin/gopher-lua"

	"github.com/hawser-dev/hawser/shared/luacode"
)

// program is a compiled script, shared by all states.
type program struct {
	name  string
	proto *glua.FunctionProto
}

// compile compiles a script. name is the place where it was found; it begins every
// message.
func compile(name, source string) (*program, error) {
	proto, err := luacode.Compile(name, source)
	if err != nil {
		return nil, err
	}
	return &program{name: name, proto: proto}, nil
}
