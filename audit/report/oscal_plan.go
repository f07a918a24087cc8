package report

import (
	"io"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// OSCALPlan writes a NIST OSCAL assessment plan as JSON: which checks an audit ran, on what, and
// which controls of NIST 800-53 they review. The assessment results of the same audit refer to it.
type OSCALPlan struct{}

// Render implements Renderer.
func (OSCALPlan) Render(w io.Writer, r audit.Report) error {
	return WriteJSON(w, oscalPlanDocument{planOf(makeLegible(r))})
}

func planUUID(r audit.Report) string { return uuidOf("assessment-plan", runID(r)) }

func planOf(r audit.Report) oscalPlan {
	reviewed, _ := oscalControls(r)
	system := oscalResource{
		UUID:        uuidOf("system-security-plan"),
		Title:       "The system security plan",
		Description: "The audit does not know the system security plan of the cluster: put its address in place of this resource.",
	}
	plan := oscalPlan{
		UUID:             planUUID(r),
		Metadata:         oscalMetadataOf(r, "Plan of an audit of etcd", r.StartedAt),
		ImportSSP:        oscalReference{"#" + system.UUID},
		ReviewedControls: reviewed,
		AssessmentAssets: oscalAssets(r),
		BackMatter:       oscalBackMatter{Resources: []oscalResource{system}},
	}
	local := oscalLocalDefinitions{InventoryItems: oscalInventory(r)}
	for _, check := range checksOf(r.Results) {
		uuid := uuidOf("activity", check.result.CheckID)
		local.Activities = append(local.Activities, oscalActivity{
			UUID: uuid, Title: word(check.result.CheckID), Description: word(check.result.Title),
			Props: []oscalProperty{property("check", check.result.CheckID), property("method", "TEST")},
		})
		subject := oscalSubjects{Type: "inventory-item"}
		for _, target := range check.targets {
			subject.Include = append(subject.Include, oscalSubject{SubjectUUID: target, Type: "inventory-item"})
		}
		plan.Tasks = append(plan.Tasks, oscalTask{
			UUID: uuidOf("task", runID(r), check.result.CheckID), Type: "action", Title: word(check.result.CheckID),
			Activities: []oscalAssociatedActivity{{ActivityUUID: uuid, Subjects: []oscalSubjects{subject}}},
		})
	}
	if len(local.Activities) > 0 {
		plan.LocalDefinitions = &local
	}
	return plan
}

// plannedCheck is a check with the UUIDs of its targets.
type plannedCheck struct {
	result  audit.Result // the first of it
	targets []string
}

// checksOf returns the checks of the results, in the order in which they come.
func checksOf(results []audit.Result) []*plannedCheck {
	var checks []*plannedCheck
	known := map[string]*plannedCheck{}
	for _, result := range results {
		check := known[result.CheckID]
		if check == nil {
			check = &plannedCheck{result: result}
			known[result.CheckID] = check
			checks = append(checks, check)
		}
		if target := targetUUID(result); !slices.Contains(check.targets, target) {
			check.targets = append(check.targets, target)
		}
	}
	return checks
}
