package command

import (
	"net/http"

	"github.com/hawser-dev/hawser/shared/fault"
)

// applied sends a text to the hub. A dry run stores nothing there.
func (c *call) applied(body []byte, places []place, dryRun bool) ([]applied, error) {
	path := "/apply"
	if dryRun {
		path += "?dryRun=true"
	}
	var got struct {
		Items []applied `json:"items"`
	}
	if err := c.api.Do(c.ctx, http.MethodPost, path, body, &got); err != nil {
		return nil, err
	}
	if len(places) == len(got.Items) { // the hub answers in the order of the text
		for i := range got.Items {
			got.Items[i].from = places[i]
		}
	}
	return got.Items, nil
}

// invalidates reports whether applications become invalid by it.
func (x applied) invalidates() bool { return x.Preview != nil && x.Preview.InvalidCount > 0 }

// askOfProjects shows which applications become invalid by the projects of a text
// before it is applied, and asks where somebody is there to answer. What scripts
// apply is saved: that is what apply is to them.
func (c *call) askOfProjects(body []byte, places []place) error {
	items, err := c.applied(body, places, true)
	if err != nil {
		if fault.HasCode(err, "permission_denied") {
			return nil // the hub says so of each object
		}
		return err
	}
	invalid := 0
	for _, x := range items {
		if x.invalidates() {
			invalid += x.Preview.InvalidCount
			lines(c.Err)("project %q:", x.Name)
			x.Preview.print(c.Err, false)
		}
	}
	if invalid == 0 || !c.attended() {
		return nil
	}
	return c.ask(consentToInvalid(invalid))
}

// printWouldApply prints what a text would change. The exit status is that of
// errors, else ExitNegative when applications become invalid.
func (c *call) printWouldApply(items []applied) error {
	invalid := false
	for i := range items {
		x := &items[i]
		invalid = invalid || x.invalidates()
		if c.documents() {
			continue
		}
		if !x.failed() {
			x.Message = "dry run"
			if x.Preview != nil {
				x.Warnings = nil // the preview has them
			}
		}
		c.printAppliedItem(*x)
		if x.Preview != nil {
			printPreview(c.Out, *x.Preview, true)
		}
	}
	if c.documents() {
		if err := c.printApplied(items); err != nil {
			return err
		}
	}
	if code := exitOfApplied(items); code != ExitOK {
		return exitWith(code, nil)
	}
	if invalid {
		return exitWith(ExitNegative, nil)
	}
	return nil
}
