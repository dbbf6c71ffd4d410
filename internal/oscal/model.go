package oscal

// The parts of the OSCAL assessment results model that are used, in the order in
// which NIST's reference has their fields. Lists that are empty must be absent.
// Source: NIST, OSCAL 1.2.1 assessment results model, JSON reference.

type metadata struct {
	Title        string  `json:"title"`         // markup
	LastModified string  `json:"last-modified"` // RFC 3339
	Version      string  `json:"version"`
	OSCAL        string  `json:"oscal-version"`
	Props        []prop  `json:"props,omitempty"`
	Parties      []party `json:"parties,omitempty"`
	Remarks      string  `json:"remarks,omitempty"` // markup
}

type party struct {
	UUID string `json:"uuid"`
	Type string `json:"type"` // person or organization
	Name string `json:"name"`
}

type prop struct {
	Name  string `json:"name"` // token
	NS    string `json:"ns"`   // URI
	Value string `json:"value"`
}

type link struct {
	Href    string `json:"href"`
	Rel     string `json:"rel,omitempty"`
	Remarks string `json:"remarks,omitempty"` // of import-ap only
}

type resource struct {
	UUID        string  `json:"uuid"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	Props       []prop  `json:"props,omitempty"`
	Links       []rlink `json:"rlinks,omitempty"`
}

type rlink struct {
	Href      string `json:"href"`
	MediaType string `json:"media-type"`
}

type objective struct {
	Control string `json:"control-id"` // token
	Props   []prop `json:"props,omitempty"`
	Parts   []part `json:"parts"`
}

type part struct {
	ID    string `json:"id"` // token
	Name  string `json:"name"`
	Prose string `json:"prose"` // markup
	Parts []part `json:"parts,omitempty"`
}

type reviewed struct {
	Controls   []selection `json:"control-selections"`
	Objectives []selection `json:"control-objective-selections,omitempty"`
}

type selection struct {
	Controls   []controlID   `json:"include-controls,omitempty"`
	Objectives []objectiveID `json:"include-objectives,omitempty"`
	Remarks    string        `json:"remarks,omitempty"`
}

type controlID struct {
	ID string `json:"control-id"`
}

type objectiveID struct {
	ID string `json:"objective-id"`
}

type component struct {
	UUID        string `json:"uuid"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Props       []prop `json:"props,omitempty"`
	Status      status `json:"status"`
}

// status is of a component or of a finding's target.
type status struct {
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`  // pass, fail or other; of a target only
	Remarks string `json:"remarks,omitempty"` // markup
}

type item struct {
	UUID        string          `json:"uuid"`
	Description string          `json:"description"`
	Props       []prop          `json:"props,omitempty"`
	Components  []componentUUID `json:"implemented-components,omitempty"`
}

type componentUUID struct {
	UUID string `json:"component-uuid"`
}

type platform struct {
	UUID  string          `json:"uuid"`
	Title string          `json:"title"`
	Uses  []componentUUID `json:"uses-components,omitempty"`
}

type origin struct {
	Actors []actor `json:"actors"`
}

type actor struct {
	Type string `json:"type"`
	UUID string `json:"actor-uuid"`
}

type subject struct {
	UUID string `json:"subject-uuid"`
	Type string `json:"type"` // component or inventory-item
}

type observation struct {
	UUID        string     `json:"uuid"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Props       []prop     `json:"props,omitempty"`
	Links       []link     `json:"links,omitempty"`
	Methods     []string   `json:"methods"`
	Types       []string   `json:"types,omitempty"`
	Origins     []origin   `json:"origins,omitempty"`
	Subjects    []subject  `json:"subjects,omitempty"`
	Evidence    []relevant `json:"relevant-evidence,omitempty"`
	Collected   string     `json:"collected"`
}

type relevant struct {
	Href        string `json:"href,omitempty"`
	Description string `json:"description"`
	Props       []prop `json:"props,omitempty"`
}

type risk struct {
	UUID        string           `json:"uuid"`
	Title       string           `json:"title"`
	Description string           `json:"description"`
	Statement   string           `json:"statement"`
	Props       []prop           `json:"props,omitempty"`
	Status      string           `json:"status"`
	Origins     []origin         `json:"origins,omitempty"`
	Facets      []characterized  `json:"characterizations,omitempty"`
	Deadline    string           `json:"deadline,omitempty"`
	Related     []observationRef `json:"related-observations,omitempty"`
}

type characterized struct {
	Origin origin  `json:"origin"`
	Facets []facet `json:"facets"`
}

type facet struct {
	Name   string `json:"name"`
	System string `json:"system"`
	Value  string `json:"value"`
}

type observationRef struct {
	UUID string `json:"observation-uuid"`
}

type riskRef struct {
	UUID string `json:"risk-uuid"`
}

type finding struct {
	UUID         string           `json:"uuid"`
	Title        string           `json:"title"`
	Description  string           `json:"description"`
	Props        []prop           `json:"props,omitempty"`
	Origins      []origin         `json:"origins,omitempty"`
	Target       target           `json:"target"`
	Observations []observationRef `json:"related-observations,omitempty"`
	Risks        []riskRef        `json:"related-risks,omitempty"`
}

type target struct {
	Type   string `json:"type"`
	ID     string `json:"target-id"`
	Status status `json:"status"`
}
