package export

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/etcdsec/etcdsec/internal/layout"
)

// Step describes the work, done or planned, of an export on one item.
type Step struct {
	Action Action `json:"action"`
	Name   string `json:"name"`
	Role   string `json:"role,omitempty"`
	Path   string `json:"path"` // in the folder of the export
	Detail string `json:"detail,omitempty"`
}

// Result describes the work, done or planned, of an export.
type Result struct {
	SchemaVersion int    `json:"schema_version"`
	Dir           string `json:"dir"` // the store
	Out           string `json:"out"` // the folder of the export
	Cluster       string `json:"cluster"`
	DryRun        bool   `json:"dry_run"`
	Steps         []Step `json:"steps"`
}

// Count returns the number of steps with an action.
func (r Result) Count(action Action) int {
	n := 0
	for _, s := range r.Steps {
		if s.Action == action {
			n++
		}
	}
	return n
}

// Deliver writes the files of the items into the folder out.
func (s *Store) Deliver(out string, items []Item, how Delivery) (Result, error) {
	result := Result{SchemaVersion: 1, Dir: s.Dir, Out: out, Cluster: s.Cluster.Name, DryRun: how.DryRun, Steps: []Step{}}
	var files []File
	for _, item := range items {
		if !item.Skipped {
			files = append(files, item.File)
		}
	}
	actions, err := Deliver(out, files, how)
	if err != nil {
		return result, err
	}
	for _, item := range items {
		step := Step{Action: ActionSkip, Name: item.Name, Role: item.Role, Path: item.File.Name, Detail: item.Detail}
		if !item.Skipped {
			step.Action, actions = actions[0], actions[1:]
		}
		result.Steps = append(result.Steps, step)
	}
	return result, nil
}

// WriteText writes the steps as a table.
func (r Result) WriteText(out io.Writer) error {
	table := layout.NewTable(out)
	for _, s := range r.Steps {
		where := s.Name
		if s.Path != "" {
			where = filepath.Join(r.Out, s.Path)
		}
		table.Row(s.Action, where, s.Detail)
	}
	return table.Flush()
}

// Summary returns one line about what the export did.
func (r Result) Summary() string {
	kept := r.Count(ActionKeep)
	written := len(r.Steps) - kept - r.Count(ActionSkip)
	if r.DryRun {
		return fmt.Sprintf("dry run: cluster %s: would write %d files in %s, and keep %d", r.Cluster, written, r.Out, kept)
	}
	return fmt.Sprintf("cluster %s: wrote %d files in %s, kept %d", r.Cluster, written, r.Out, kept)
}
