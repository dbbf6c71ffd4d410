package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"

	"github.com/tallystick/tallystick/collectors"
)

// guarddutyDetectors reads the GuardDuty detector of each region. A member of
// an organisation has detectors of its own, whoever administers them.
//
// A region without a detector is known by the region itself, which is a kind
// of its own.
func guarddutyDetectors(e *Estate) *collector {
	const kind = "aws.guardduty.detector"
	return &collector{estate: e, read: readDetectors, spec: collectors.Spec{
		Name:    "aws.guardduty_detectors",
		Summary: "GuardDuty detectors: status, features, publishing frequency.",
		Kinds:   []string{"aws.guardduty.region", kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "guardduty:ListDetectors", Kind: kind},
			{Operation: "guardduty:GetDetector", Kind: kind, Field: "Detector"},
		},
	}}
}

func readDetectors(ctx context.Context, r *reader) error {
	const list = "guardduty:ListDetectors"
	if err := r.observeRegion(ctx, "aws.guardduty.region"); err != nil {
		return err
	}
	client := guardduty.NewFromConfig(r.config)
	pages := guardduty.NewListDetectorsPaginator(client, &guardduty.ListDetectorsInput{MaxResults: aws.Int32(50)})
	err := readPages(ctx, r, pages, func(out *guardduty.ListDetectorsOutput, p page) error {
		for i, id := range out.DetectorIds {
			if id == "" {
				return unidentified(list, "detectorIds", i)
			}
			// Source: service authorization reference, resource types of Amazon GuardDuty.
			o := r.resource("aws.guardduty.detector", r.arn("guardduty", "detector/"+id), p, map[string]any{"DetectorId": id})
			if err := r.each(ctx, func() error {
				out, err := client.GetDetector(ctx, &guardduty.GetDetectorInput{DetectorId: &id})
				o.set("guardduty:GetDetector", out, err)
				return o.emit(ctx)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.listed("aws.guardduty.detector")
	}
	return err
}
