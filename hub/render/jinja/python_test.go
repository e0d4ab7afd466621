package jinja

import "testing"

// TestAsPythonDoes holds what is easily done as Go does it against what Jinja2 3.1
// puts out.
func TestAsPythonDoes(t *testing.T) {
	for template, want := range map[string]string{
		`{{ -7 % 1.0 }} {{ 7 % -1.0 }} {{ 7.5 % 2 }} {{ -7.5 % 2 }}`:                                   "0.0 -0.0 1.5 0.5",
		`{{ {2: "a", 10: "b"}|tojson }}`:                                                               `{"2": "a", "10": "b"}`,
		`{{ {"2": "a", "10": "b"}|tojson }}`:                                                           `{"10": "b", "2": "a"}`,
		`{{ nothing|map("upper")|list }} {{ nothing|select|list }} {{ nothing|rejectattr("x")|list }}`: "[] [] []",
		`{{ range(3)|list + [3] }} {{ [0] * 2 }} {{ 2 * (1,) }} {{ [1] < [2] }}`:                       "[0, 1, 2, 3] [0, 0] (1, 1) True",
	} {
		if out, err := run(template, nil); err != nil || out != want {
			t.Errorf("%s puts out %q, %v; want %q", template, out, err, want)
		}
	}
}

func TestWhatPythonRefuses(t *testing.T) {
	for template, message := range map[string]string{
		`{{ range(3) + [3] }}`:              `"+" cannot be done with`,
		`{{ [3] + range(3) }}`:              `"+" cannot be done with`,
		`{{ env.keys() + ["x"] }}`:          `"+" cannot be done with`,
		`{{ range(3) * 2 }}`:                `"*" cannot be done with`,
		`{{ 2 * range(3) }}`:                `"*" cannot be done with`,
		`{{ ports|map("string") * 2 }}`:     `"*" cannot be done with`,
		`{{ range(3) < [9] }}`:              "have no order",
		`{{ "web"|filesizeformat }}`:        "filesizeformat needs a number, not a string",
		`{{ ports|filesizeformat }}`:        "filesizeformat needs a number, not a list",
		`{{ replicas|map("string")|list }}`: "cannot be gone through",
	} {
		refused(t, template, nil, codeError, message)
	}
}
