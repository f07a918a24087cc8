package report

// The parts of OSCAL 1.2.1's models of assessment plans and results that are written. The names are
// OSCAL's (pages.nist.gov/OSCAL, Assessment Plan Model and Assessment Results Model).

type oscalDocument struct {
	Results oscalAssessmentResults `json:"assessment-results"`
}

type oscalAssessmentResults struct {
	UUID       string          `json:"uuid"`
	Metadata   oscalMetadata   `json:"metadata"`
	ImportAP   oscalReference  `json:"import-ap"`
	Results    []oscalResult   `json:"results"`
	BackMatter oscalBackMatter `json:"back-matter"`
}

type oscalMetadata struct {
	Title        string `json:"title"`
	LastModified string `json:"last-modified"`
	Version      string `json:"version"`
	OSCALVersion string `json:"oscal-version"`
}

type oscalReference struct {
	Href string `json:"href"`
}

type oscalBackMatter struct {
	Resources []oscalResource `json:"resources"`
}

type oscalResource struct {
	UUID        string `json:"uuid"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

type oscalResult struct {
	UUID             string                `json:"uuid"`
	Title            string                `json:"title"`
	Description      string                `json:"description"`
	Start            string                `json:"start"`
	End              string                `json:"end"`
	LocalDefinitions oscalLocalDefinitions `json:"local-definitions"`
	ReviewedControls oscalReviewedControls `json:"reviewed-controls"`
	Observations     []oscalObservation    `json:"observations,omitempty"`
	Risks            []oscalRisk           `json:"risks,omitempty"`
	Findings         []oscalFinding        `json:"findings,omitempty"`
}

type oscalLocalDefinitions struct {
	InventoryItems   []oscalInventoryItem   `json:"inventory-items,omitempty"`
	Activities       []oscalActivity        `json:"activities,omitempty"`        // of a plan
	AssessmentAssets *oscalAssessmentAssets `json:"assessment-assets,omitempty"` // of results; a plan has them elsewhere
}

type oscalInventoryItem struct {
	UUID        string          `json:"uuid"`
	Description string          `json:"description"`
	Props       []oscalProperty `json:"props,omitempty"`
}

type oscalAssessmentAssets struct {
	Components []oscalComponent `json:"components"`
	Platforms  []oscalPlatform  `json:"assessment-platforms"`
}

type oscalComponent struct {
	UUID        string      `json:"uuid"`
	Type        string      `json:"type"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Status      oscalStatus `json:"status"`
}

type oscalPlatform struct {
	UUID           string              `json:"uuid"`
	Title          string              `json:"title"`
	UsesComponents []oscalComponentUse `json:"uses-components"`
}

type oscalComponentUse struct {
	ComponentUUID string `json:"component-uuid"`
}

type oscalReviewedControls struct {
	ControlSelections []oscalControlSelection `json:"control-selections"`
}

type oscalControlSelection struct {
	IncludeAll      *struct{}        `json:"include-all,omitempty"`
	IncludeControls []oscalControlID `json:"include-controls,omitempty"`
}

type oscalControlID struct {
	ControlID string `json:"control-id"`
}

type oscalObservation struct {
	UUID        string          `json:"uuid"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Props       []oscalProperty `json:"props"`
	Methods     []string        `json:"methods"`
	Types       []string        `json:"types"`
	Origins     []oscalOrigin   `json:"origins"`
	Subjects    []oscalSubject  `json:"subjects"`
	Collected   string          `json:"collected"`
}

type oscalProperty struct {
	Name  string `json:"name"`
	NS    string `json:"ns"`
	Value string `json:"value"`
}

type oscalOrigin struct {
	Actors []oscalActor `json:"actors"`
}

type oscalActor struct {
	Type      string `json:"type"`
	ActorUUID string `json:"actor-uuid"`
}

type oscalSubject struct {
	SubjectUUID string `json:"subject-uuid"`
	Type        string `json:"type"`
}

type oscalRisk struct {
	UUID                string                    `json:"uuid"`
	Title               string                    `json:"title"`
	Description         string                    `json:"description"`
	Statement           string                    `json:"statement"`
	Props               []oscalProperty           `json:"props"`
	Status              string                    `json:"status"`
	Deadline            string                    `json:"deadline,omitempty"`
	Remediations        []oscalRemediation        `json:"remediations,omitempty"`
	RelatedObservations []oscalRelatedObservation `json:"related-observations"`
}

type oscalRemediation struct {
	UUID        string `json:"uuid"`
	Lifecycle   string `json:"lifecycle"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

type oscalRelatedObservation struct {
	ObservationUUID string `json:"observation-uuid"`
}

type oscalRelatedRisk struct {
	RiskUUID string `json:"risk-uuid"`
}

type oscalFinding struct {
	UUID                string                    `json:"uuid"`
	Title               string                    `json:"title"`
	Description         string                    `json:"description"`
	Target              oscalFindingTarget        `json:"target"`
	RelatedObservations []oscalRelatedObservation `json:"related-observations"`
	RelatedRisks        []oscalRelatedRisk        `json:"related-risks,omitempty"`
}

type oscalFindingTarget struct {
	Type     string      `json:"type"`
	TargetID string      `json:"target-id"`
	Status   oscalStatus `json:"status"`
}

type oscalStatus struct {
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
	Remarks string `json:"remarks,omitempty"`
}

type oscalPlanDocument struct {
	Plan oscalPlan `json:"assessment-plan"`
}

type oscalPlan struct {
	UUID             string                 `json:"uuid"`
	Metadata         oscalMetadata          `json:"metadata"`
	ImportSSP        oscalReference         `json:"import-ssp"`
	LocalDefinitions *oscalLocalDefinitions `json:"local-definitions,omitempty"`
	ReviewedControls oscalReviewedControls  `json:"reviewed-controls"`
	AssessmentAssets oscalAssessmentAssets  `json:"assessment-assets"`
	Tasks            []oscalTask            `json:"tasks,omitempty"`
	BackMatter       oscalBackMatter        `json:"back-matter"`
}

type oscalActivity struct {
	UUID        string          `json:"uuid"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Props       []oscalProperty `json:"props"`
}

type oscalTask struct {
	UUID       string                    `json:"uuid"`
	Type       string                    `json:"type"`
	Title      string                    `json:"title"`
	Activities []oscalAssociatedActivity `json:"associated-activities"`
}

type oscalAssociatedActivity struct {
	ActivityUUID string          `json:"activity-uuid"`
	Subjects     []oscalSubjects `json:"subjects"`
}

type oscalSubjects struct {
	Type    string         `json:"type"`
	Include []oscalSubject `json:"include-subjects"`
}
