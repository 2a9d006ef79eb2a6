-- A store on PostgreSQL as the stopgap of schema 9 made it: pg_dump of tests.contract.test_audit.fill.
CREATE TABLE public.actions (
    number bigint NOT NULL,
    incident text NOT NULL COLLATE pg_catalog."C",
    step integer NOT NULL,
    target text NOT NULL COLLATE pg_catalog."C",
    started_at text NOT NULL COLLATE pg_catalog."C",
    finished_at text COLLATE pg_catalog."C",
    rule text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    team text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    domain text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    by_person boolean DEFAULT false NOT NULL
);
CREATE SEQUENCE public.actions_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.actions_number_seq OWNED BY public.actions.number;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.alert_ends (
    alert text NOT NULL COLLATE pg_catalog."C",
    ends_at text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.changes (
    subject text NOT NULL COLLATE pg_catalog."C",
    item text NOT NULL COLLATE pg_catalog."C",
    previous text NOT NULL COLLATE pg_catalog."C",
    at text NOT NULL COLLATE pg_catalog."C",
    seen_by text NOT NULL COLLATE pg_catalog."C",
    text text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    target text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    labels text DEFAULT '{}'::text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.events (
    incident text NOT NULL COLLATE pg_catalog."C",
    seq integer NOT NULL,
    at text NOT NULL COLLATE pg_catalog."C",
    by text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    format integer NOT NULL,
    body text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.freezes (
    scope text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    by text NOT NULL COLLATE pg_catalog."C",
    at text NOT NULL COLLATE pg_catalog."C",
    until text COLLATE pg_catalog."C",
    thawed_by text COLLATE pg_catalog."C",
    thawed_at text COLLATE pg_catalog."C"
);
CREATE TABLE public.heads (
    incident text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    seq integer NOT NULL,
    phase text NOT NULL COLLATE pg_catalog."C",
    title text NOT NULL COLLATE pg_catalog."C",
    severity text NOT NULL COLLATE pg_catalog."C",
    opened_at text NOT NULL COLLATE pg_catalog."C",
    closed_at text COLLATE pg_catalog."C",
    wake_at text COLLATE pg_catalog."C",
    rule text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    team text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    service text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    verdict text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    onset_from text COLLATE pg_catalog."C",
    onset_until text COLLATE pg_catalog."C",
    suspect text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    recovered_at text COLLATE pg_catalog."C",
    outcome text COLLATE pg_catalog."C",
    pending integer DEFAULT 0 NOT NULL,
    routes text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.inbox (
    arrival bigint NOT NULL,
    identity text NOT NULL COLLATE pg_catalog."C",
    received_at text NOT NULL COLLATE pg_catalog."C",
    body bytea NOT NULL,
    processed boolean NOT NULL
);
CREATE SEQUENCE public.inbox_arrival_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.inbox_arrival_seq OWNED BY public.inbox.arrival;
CREATE TABLE public.ledger (
    number bigint NOT NULL,
    at text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    incident text NOT NULL COLLATE pg_catalog."C",
    seq integer NOT NULL,
    body text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.maintenance_windows (
    id text NOT NULL COLLATE pg_catalog."C",
    scope text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    by text NOT NULL COLLATE pg_catalog."C",
    announced_at text NOT NULL COLLATE pg_catalog."C",
    begins_at text NOT NULL COLLATE pg_catalog."C",
    ends_at text NOT NULL COLLATE pg_catalog."C",
    public_text text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    ended_by text COLLATE pg_catalog."C",
    ended_at text COLLATE pg_catalog."C"
);
CREATE TABLE public.marks (
    subject text NOT NULL COLLATE pg_catalog."C",
    item text NOT NULL COLLATE pg_catalog."C",
    mark text NOT NULL COLLATE pg_catalog."C",
    at text NOT NULL COLLATE pg_catalog."C",
    incident text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.meta (
    name text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.oncall_overrides (
    id text NOT NULL COLLATE pg_catalog."C",
    schedule text NOT NULL COLLATE pg_catalog."C",
    person text NOT NULL COLLATE pg_catalog."C",
    replaces text NOT NULL COLLATE pg_catalog."C",
    start text NOT NULL COLLATE pg_catalog."C",
    until text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    by text NOT NULL COLLATE pg_catalog."C",
    at text NOT NULL COLLATE pg_catalog."C",
    swap text NOT NULL COLLATE pg_catalog."C",
    removed_by text COLLATE pg_catalog."C",
    removed_at text COLLATE pg_catalog."C"
);
CREATE TABLE public.oncall_swaps (
    id text NOT NULL COLLATE pg_catalog."C",
    schedule text NOT NULL COLLATE pg_catalog."C",
    asker text NOT NULL COLLATE pg_catalog."C",
    asked text NOT NULL COLLATE pg_catalog."C",
    start text NOT NULL COLLATE pg_catalog."C",
    until text NOT NULL COLLATE pg_catalog."C",
    return_start text COLLATE pg_catalog."C",
    return_until text COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    at text NOT NULL COLLATE pg_catalog."C",
    answer text NOT NULL COLLATE pg_catalog."C",
    answered_at text COLLATE pg_catalog."C"
);
CREATE TABLE public.sessions (
    id text NOT NULL COLLATE pg_catalog."C",
    person text NOT NULL COLLATE pg_catalog."C",
    proof text NOT NULL COLLATE pg_catalog."C",
    started_at text NOT NULL COLLATE pg_catalog."C",
    ends_at text NOT NULL COLLATE pg_catalog."C",
    client text NOT NULL COLLATE pg_catalog."C",
    granted text COLLATE pg_catalog."C",
    guest boolean NOT NULL
);
CREATE TABLE public.tokens (
    id text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C",
    person text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    scopes text NOT NULL COLLATE pg_catalog."C",
    created_at text NOT NULL COLLATE pg_catalog."C",
    expires_at text COLLATE pg_catalog."C",
    used_on text COLLATE pg_catalog."C",
    revoked_at text COLLATE pg_catalog."C",
    revoked_by text COLLATE pg_catalog."C"
);
ALTER TABLE ONLY public.actions ALTER COLUMN number SET DEFAULT nextval('public.actions_number_seq'::regclass);
ALTER TABLE ONLY public.inbox ALTER COLUMN arrival SET DEFAULT nextval('public.inbox_arrival_seq'::regclass);
INSERT INTO public.actions VALUES
	(1, 'inc-1', 1, 'release:shop', '2026-03-01T15:05:00.000000+00:00', '2026-03-01T15:07:00.000000+00:00', 'checkout', 'shop', 'eu', false),
	(2, 'inc-2', 1, 'release:cart', '2026-03-01T16:05:00.000000+00:00', '2026-03-01T16:07:00.000000+00:00', 'checkout', 'shop', 'eu', false),
	(3, 'inc-3', 1, 'release:search', '2026-03-01T19:05:00.000000+00:00', NULL, 'checkout', 'shop', 'eu', false);
INSERT INTO public.alembic_version VALUES
	('0009');
INSERT INTO public.events VALUES
	('inc-1', 1, '2026-03-01T15:00:00.000000+00:00', 'stopgap', 'IncidentOpened', 1, '{"drill":null,"group_labels":{"service":"shop"},"key":"[\"checkout\", [[\"service\", \"shop\"]]]","kind":"IncidentOpened","rule":"checkout","team":"shop","title":"CheckoutFails"}', '5f1268f92b5ce1aa4133261d55633286e40fab0eb70e0ed27cbf4a003eb2c5f0'),
	('inc-1', 2, '2026-03-01T15:00:00.000000+00:00', 'stopgap', 'AlertsReceived', 1, '{"alerts":[{"annotations":{},"ends_at":"0001-01-01T00:00:00Z","fingerprint":"","generator_url":"","labels":{"alertname":"CheckoutFails","service":"shop"},"starts_at":"2026-03-01T14:08:00Z","status":"firing"}],"external_url":"","incomplete":false,"kind":"AlertsReceived"}', '57faac61255c2393c04915cf9904e0f4007592e762f848f9ff4825e3decf2967'),
	('inc-1', 3, '2026-03-01T15:01:00.000000+00:00', 'stopgap', 'PageQueued', 1, '{"about":"","acknowledgements":1,"asks":"acknowledge","attempt":0,"facts":"","kind":"PageQueued","occasion":null,"page":"r0.t0.ada","person":"ada","purpose":"escalation","round":0,"text":"come","tier":0}', 'caec66c5c7bd78b612c94446188c193c89c15045bfaaf15d39dfb414d0e9fb2e'),
	('inc-1', 4, '2026-03-01T15:02:00.000000+00:00', 'stopgap', 'PageDelivered', 1, '{"kind":"PageDelivered","measured":true,"method":"console","page":"r0.t0.ada","proof":"taken"}', '9ad490213cd39d27c69cdfa8dbfa0dd8200de5b64c11dc71421986cdce746132'),
	('inc-1', 5, '2026-03-01T15:03:00.000000+00:00', 'stopgap', 'ProblemDefined', 1, '{"kind":"ProblemDefined","problem":{"at":"2026-03-01T15:02:00Z","baseline":0.99,"baseline_from":"2026-03-01T14:17:00Z","baseline_traffic":600.0,"baseline_until":"2026-03-01T14:57:00Z","begun_by":null,"behind":"0s","conditions":[],"failed_per_minute":126.0,"impact":[],"kind":"counts","leading":0,"onset":"2026-03-01T14:58:00Z","onset_quantiles":null,"onset_within":"30s","prometheus":"","queries":[],"reason":"loss_exceeds_threshold","sentiment":[],"severity":"sev1","symptom":"success rate","target":null,"text":"success rate 99.0 % \u2192 79.0 %","verdict":"confirmed","windows":[{"exceeds":true,"high":0.22,"level":0.79,"loss":0.2,"low":0.18000000000000002,"significant":true,"traffic":600.0,"window":"1m"}]},"suspicion":null}', 'e23a1b988a7731e9a52625c3e4deff50624a99d3c48d02850e6ece80679871e0'),
	('inc-1', 6, '2026-03-01T15:04:00.000000+00:00', 'ada (cli)', 'ResponderArrived', 1, '{"kind":"ResponderArrived","person":"ada","via":"cli"}', '624d25bb56d0231dc831a03c22a6fe28cdbef0baacb2d8983ee38865fc326787'),
	('inc-1', 7, '2026-03-01T15:04:00.000000+00:00', 'ada (cli)', 'CommanderAppointed', 1, '{"kind":"CommanderAppointed","person":"ada","reason":"the first responder"}', 'd4cefff51ecf29c5e0575a0cdd22f374782bba4f3af08c5058a6715b6e202aea'),
	('inc-1', 8, '2026-03-01T15:05:00.000000+00:00', 'stopgap', 'StepStarted', 1, '{"action":"release_rollback","authority":"pre-approved by ada until 2026-12-23","kind":"StepStarted","params":{"directory":"shop"},"step":1,"target":"release:shop"}', '43577c056272b68231cacd313b087956d5ca51b5c1cf16d1684db19be2aef883'),
	('inc-1', 9, '2026-03-01T15:06:00.000000+00:00', 'stopgap', 'StepPrepared', 1, '{"intent":{"from":"v2","to":"v1"},"kind":"StepPrepared","step":1,"summary":"v2 \u2192 v1"}', 'fc5fa888c4ebe295af346130628c3e1ae350bee30f37e86fc296745f9791b50f'),
	('inc-1', 10, '2026-03-01T15:07:00.000000+00:00', 'stopgap', 'StepFinished', 1, '{"kind":"StepFinished","outcome":{"detail":"v2 \u2192 v1","facts":{},"reason":"rolled_back","result":"done"},"step":1}', '1a40b750ed35851143874d792591ad22b521abcc8e69b41d161aa810a83d8ac1'),
	('inc-1', 11, '2026-03-01T15:08:00.000000+00:00', 'stopgap', 'RecoveryMeasured', 1, '{"kind":"RecoveryMeasured","reading":{"at":"2026-03-01T15:07:00Z","high":null,"level":0.99,"loss":0.0,"low":null,"reason":"near_baseline","severity":"","state":"healthy","text":"","traffic":600.0},"step":1}', '63d7f40f09caee38d8292d1e1123d75bce2eb2e88fd5ad7b555e1f2f4321acc9'),
	('inc-1', 12, '2026-03-01T15:09:00.000000+00:00', 'stopgap', 'StepVerified', 1, '{"kind":"StepVerified","step":1,"text":"79 % \u2192 99 %","verdict":"recovered"}', 'e5cb49be9b5b36e572a8b52ca93f07e953a56eb63ba339acb97fb54a6089c914'),
	('inc-1', 13, '2026-03-01T15:09:00.000000+00:00', 'stopgap', 'Recovered', 1, '{"kind":"Recovered","step":1,"text":"79 % \u2192 99 %"}', '367b5adf897b5b8b3db254092acdffbc713a175c670d830adaf4ede023ae2ba3'),
	('inc-1', 14, '2026-03-01T15:10:00.000000+00:00', 'stopgap', 'IncidentClosed', 1, '{"kind":"IncidentClosed","reason":"recovered","text":"held for 30m"}', 'd022f3da87d50682d1c0f436f3457b92f8f4bed8400ddd2a52ba95e7bd95a6be'),
	('inc-1', 15, '2026-03-01T15:11:00.000000+00:00', 'stopgap', 'ReviewWritten', 1, '{"kind":"ReviewWritten","path":"reviews/inc-1.md","revision":0}', '845987afa87f8fb307f54d518f48b7bba2eb3fffb53c063b900cca6eeaed5799'),
	('inc-2', 1, '2026-03-01T16:00:00.000000+00:00', 'stopgap', 'IncidentOpened', 1, '{"drill":null,"group_labels":{"service":"cart"},"key":"[\"checkout\", [[\"service\", \"cart\"]]]","kind":"IncidentOpened","rule":"checkout","team":"shop","title":"CheckoutFails"}', '09645644c52cf04bc2f067f5fc84b45e3b10108c52071ee31b566f50bf27ae0c'),
	('inc-2', 2, '2026-03-01T16:00:00.000000+00:00', 'stopgap', 'AlertsReceived', 1, '{"alerts":[{"annotations":{},"ends_at":"0001-01-01T00:00:00Z","fingerprint":"","generator_url":"","labels":{"alertname":"CheckoutFails","service":"cart"},"starts_at":"2026-03-01T14:08:00Z","status":"firing"}],"external_url":"","incomplete":false,"kind":"AlertsReceived"}', 'cc26ff8639f77cc428784e12f315b48dfe68ae77fd5af28a7893c1fe8fbbaa7f'),
	('inc-2', 3, '2026-03-01T16:01:00.000000+00:00', 'stopgap', 'PageQueued', 1, '{"about":"","acknowledgements":1,"asks":"acknowledge","attempt":0,"facts":"","kind":"PageQueued","occasion":null,"page":"r0.t0.ada","person":"ada","purpose":"escalation","round":0,"text":"come","tier":0}', 'cad27cd92382a634d6b158500c1e207dd44264d74d170c5eb910fee381c0a36d'),
	('inc-2', 4, '2026-03-01T16:02:00.000000+00:00', 'stopgap', 'PageDelivered', 1, '{"kind":"PageDelivered","measured":true,"method":"console","page":"r0.t0.ada","proof":"taken"}', 'f06d729ea1446a3aec7c0a91d424fd1f6525b97ca6b005dc424fccfb4a3b0cc5'),
	('inc-2', 5, '2026-03-01T16:03:00.000000+00:00', 'stopgap', 'ProblemDefined', 1, '{"kind":"ProblemDefined","problem":{"at":"2026-03-01T16:02:00Z","baseline":0.99,"baseline_from":"2026-03-01T15:17:00Z","baseline_traffic":600.0,"baseline_until":"2026-03-01T15:57:00Z","begun_by":null,"behind":"0s","conditions":[],"failed_per_minute":126.0,"impact":[],"kind":"counts","leading":0,"onset":"2026-03-01T15:58:00Z","onset_quantiles":null,"onset_within":"30s","prometheus":"","queries":[],"reason":"loss_exceeds_threshold","sentiment":[],"severity":"sev1","symptom":"success rate","target":null,"text":"success rate 99.0 % \u2192 79.0 %","verdict":"confirmed","windows":[{"exceeds":true,"high":0.22,"level":0.79,"loss":0.2,"low":0.18000000000000002,"significant":true,"traffic":600.0,"window":"1m"}]},"suspicion":null}', '69fb912beab48485983e9f9ec8b14830933d598726ee4b7b0c64e86e0a8d096b'),
	('inc-2', 6, '2026-03-01T16:04:00.000000+00:00', 'ada (cli)', 'ResponderArrived', 1, '{"kind":"ResponderArrived","person":"ada","via":"cli"}', 'c144969e5ad4d172f908f19e03202b1c7ee694a54804bd5ed66ae96a70b9366c'),
	('inc-2', 7, '2026-03-01T16:04:00.000000+00:00', 'ada (cli)', 'CommanderAppointed', 1, '{"kind":"CommanderAppointed","person":"ada","reason":"the first responder"}', '416f6d041b3bb1e04f18715362a411e37d97aee1862fdd1f20a18e8dc2745cfe'),
	('inc-2', 8, '2026-03-01T16:05:00.000000+00:00', 'stopgap', 'StepStarted', 1, '{"action":"release_rollback","authority":"pre-approved by ada until 2026-12-23","kind":"StepStarted","params":{"directory":"cart"},"step":1,"target":"release:cart"}', '93938d056121713dcee1c793b7514946b0c3b286b6fe7f00dbcb7eed7a16c241'),
	('inc-2', 9, '2026-03-01T16:06:00.000000+00:00', 'stopgap', 'StepPrepared', 1, '{"intent":{"from":"v2","to":"v1"},"kind":"StepPrepared","step":1,"summary":"v2 \u2192 v1"}', 'd46da6f7fd4cfb78e1af42a575d0442a5476098b445915c997a2c028d18cb6be'),
	('inc-2', 10, '2026-03-01T16:07:00.000000+00:00', 'stopgap', 'StepFinished', 1, '{"kind":"StepFinished","outcome":{"detail":"v2 \u2192 v1","facts":{},"reason":"rolled_back","result":"done"},"step":1}', 'b2f19566e18e64713b01571c41b6c117ca32963cbe48571838fd330c4718b498'),
	('inc-2', 11, '2026-03-01T16:08:00.000000+00:00', 'stopgap', 'RecoveryMeasured', 1, '{"kind":"RecoveryMeasured","reading":{"at":"2026-03-01T16:07:00Z","high":null,"level":0.99,"loss":0.0,"low":null,"reason":"near_baseline","severity":"","state":"healthy","text":"","traffic":600.0},"step":1}', '902732f5edecd12edfc4e362190e2cb3cbc0c4e13ccb9aae9834f1b7ee3a1960'),
	('inc-2', 12, '2026-03-01T16:09:00.000000+00:00', 'stopgap', 'StepVerified', 1, '{"kind":"StepVerified","step":1,"text":"79 % \u2192 99 %","verdict":"recovered"}', '51592f06d20bdc0825876be522e172a85a46fc9ff8b2f0b639aaf4fe8f739948'),
	('inc-2', 13, '2026-03-01T16:09:00.000000+00:00', 'stopgap', 'Recovered', 1, '{"kind":"Recovered","step":1,"text":"79 % \u2192 99 %"}', 'a4c9493f19ce5c800f43743ec6be72b1a3ce5616cec0e944900eea347f6f64f7'),
	('inc-2', 14, '2026-03-01T16:10:00.000000+00:00', 'stopgap', 'IncidentClosed', 1, '{"kind":"IncidentClosed","reason":"recovered","text":"held for 30m"}', 'b65390ab1f28fba9ed07218e634ea04e7b6a2125f16972f270f0e3e4854ae3cf'),
	('inc-2', 15, '2026-03-01T16:11:00.000000+00:00', 'stopgap', 'ReviewWritten', 1, '{"kind":"ReviewWritten","path":"reviews/inc-2.md","revision":0}', '8c62ceeeb2b6d7cda84aa2585b668e2d810ae1f52ca8564a10975db1871b210d'),
	('inc-3', 1, '2026-03-01T19:00:00.000000+00:00', 'stopgap', 'IncidentOpened', 1, '{"drill":null,"group_labels":{"service":"search"},"key":"[\"checkout\", [[\"service\", \"search\"]]]","kind":"IncidentOpened","rule":"checkout","team":"shop","title":"CheckoutFails"}', '611040f6129b3b49d4d7d3d49167b8597ace39d05bf6d1a533575facbe856815'),
	('inc-3', 2, '2026-03-01T19:00:00.000000+00:00', 'stopgap', 'AlertsReceived', 1, '{"alerts":[{"annotations":{},"ends_at":"0001-01-01T00:00:00Z","fingerprint":"","generator_url":"","labels":{"alertname":"CheckoutFails","service":"search"},"starts_at":"2026-03-01T14:08:00Z","status":"firing"}],"external_url":"","incomplete":false,"kind":"AlertsReceived"}', 'a0d419aca0395580033fc882231da237c3dfac7115eecc03214d7f3414b6aa5f'),
	('inc-3', 3, '2026-03-01T19:01:00.000000+00:00', 'stopgap', 'PageQueued', 1, '{"about":"","acknowledgements":1,"asks":"acknowledge","attempt":0,"facts":"","kind":"PageQueued","occasion":null,"page":"r0.t0.ada","person":"ada","purpose":"escalation","round":0,"text":"come","tier":0}', '5000ac81b5b06ac59fadfb44de8f5b5f3919f8ae4a864d9c8db674af866cb1ef'),
	('inc-3', 4, '2026-03-01T19:02:00.000000+00:00', 'stopgap', 'PageDelivered', 1, '{"kind":"PageDelivered","measured":true,"method":"console","page":"r0.t0.ada","proof":"taken"}', '68e8105fce8f790518c9d1d8cc597e63b7eb227340121daabb5716e71d9d8c78'),
	('inc-3', 5, '2026-03-01T19:03:00.000000+00:00', 'stopgap', 'ProblemDefined', 1, '{"kind":"ProblemDefined","problem":{"at":"2026-03-01T19:02:00Z","baseline":0.99,"baseline_from":"2026-03-01T18:17:00Z","baseline_traffic":600.0,"baseline_until":"2026-03-01T18:57:00Z","begun_by":null,"behind":"0s","conditions":[],"failed_per_minute":126.0,"impact":[],"kind":"counts","leading":0,"onset":"2026-03-01T18:58:00Z","onset_quantiles":null,"onset_within":"30s","prometheus":"","queries":[],"reason":"loss_exceeds_threshold","sentiment":[],"severity":"sev1","symptom":"success rate","target":null,"text":"success rate 99.0 % \u2192 79.0 %","verdict":"confirmed","windows":[{"exceeds":true,"high":0.22,"level":0.79,"loss":0.2,"low":0.18000000000000002,"significant":true,"traffic":600.0,"window":"1m"}]},"suspicion":null}', '1f761b167c610f7b2005cff1e7c25fa3d52bcea565fb050b944bb9b75ea429c3'),
	('inc-3', 6, '2026-03-01T19:04:00.000000+00:00', 'ada (cli)', 'ResponderArrived', 1, '{"kind":"ResponderArrived","person":"ada","via":"cli"}', 'e1faffd8e981bc9d2861a6e9a636b959a1d41ea569d4920a0ef69d86a61beded'),
	('inc-3', 7, '2026-03-01T19:04:00.000000+00:00', 'ada (cli)', 'CommanderAppointed', 1, '{"kind":"CommanderAppointed","person":"ada","reason":"the first responder"}', '5709395249e5c796d44ddef0af27c745bb8a3c7dd08371ae3d22baaab8d18825'),
	('inc-3', 8, '2026-03-01T19:05:00.000000+00:00', 'stopgap', 'StepStarted', 1, '{"action":"release_rollback","authority":"pre-approved by ada until 2026-12-23","kind":"StepStarted","params":{"directory":"search"},"step":1,"target":"release:search"}', '4e2789123245e1d45c18f65c6e9d5a0acefeec82ebf11371aa42060863c6f237'),
	('inc-3', 9, '2026-03-01T19:06:00.000000+00:00', 'stopgap', 'StepPrepared', 1, '{"intent":{"from":"v2","to":"v1"},"kind":"StepPrepared","step":1,"summary":"v2 \u2192 v1"}', '280b3fe6670e0775eee5bbbf00c588bd82450169faae364285696c842ef6f37d');
INSERT INTO public.freezes VALUES
	('global', 'sale', 'anna', '2026-03-01T20:00:00.000000+00:00', NULL, 'ben', '2026-03-01T20:01:00.000000+00:00'),
	('team:web', 'migration', 'anna', '2026-03-01T20:00:00.000000+00:00', '2026-04-08T08:00:00.000000+00:00', NULL, NULL);
INSERT INTO public.heads VALUES
	('inc-2', '["checkout", [["service", "cart"]]]', 15, 'closed', 'Restored: cart: success rate 99.0 % at the end, 79.0 % at worst, normally 99.0 %, 15:58:00 to 16:09:00 UTC', 'sev1', '2026-03-01T16:00:00.000000+00:00', '2026-03-01T16:10:00.000000+00:00', NULL, 'checkout', 'shop', 'cart', 'confirmed', '2026-03-01T15:57:30.000000+00:00', '2026-03-01T15:58:30.000000+00:00', '', '2026-03-01T16:09:00.000000+00:00', '{"onset":"2026-03-01T15:58:00Z","acknowledged_at":"2026-03-01T16:04:00Z","decided_at":"2026-03-01T16:05:00Z","mitigated_at":"2026-03-01T16:07:00Z","restored_at":"2026-03-01T16:09:00Z","recovered_by":"daemon","failed_requests":834.0,"impact":"9m","worst_loss":0.2,"overruled":[],"undone":0,"cause":"","follow_ups":[],"closed":"recovered","called_from":null,"merged_into":""}', 0, ''),
	('inc-1', '["checkout", [["service", "shop"]]]', 15, 'closed', 'Restored: shop: success rate 99.0 % at the end, 79.0 % at worst, normally 99.0 %, 14:58:00 to 15:09:00 UTC', 'sev1', '2026-03-01T15:00:00.000000+00:00', '2026-03-01T15:10:00.000000+00:00', NULL, 'checkout', 'shop', 'shop', 'confirmed', '2026-03-01T14:57:30.000000+00:00', '2026-03-01T14:58:30.000000+00:00', '', '2026-03-01T15:09:00.000000+00:00', '{"onset":"2026-03-01T14:58:00Z","acknowledged_at":"2026-03-01T15:04:00Z","decided_at":"2026-03-01T15:05:00Z","mitigated_at":"2026-03-01T15:07:00Z","restored_at":"2026-03-01T15:09:00Z","recovered_by":"daemon","failed_requests":834.0,"impact":"9m","worst_loss":0.2,"overruled":[],"undone":0,"cause":"","follow_ups":[],"closed":"recovered","called_from":null,"merged_into":""}', 0, ''),
	('inc-3', '["checkout", [["service", "search"]]]', 9, 'recovering', 'search: success rate 99.0 % → 79.0 %', 'sev1', '2026-03-01T19:00:00.000000+00:00', NULL, '2026-03-01T19:06:00.000000+00:00', 'checkout', 'shop', 'search', 'confirmed', '2026-03-01T18:57:30.000000+00:00', '2026-03-01T18:58:30.000000+00:00', '', NULL, '{"onset":"2026-03-01T18:58:00Z","acknowledged_at":"2026-03-01T19:04:00Z","decided_at":"2026-03-01T19:05:00Z","mitigated_at":null,"restored_at":null,"recovered_by":"","failed_requests":504.0,"impact":"4m","worst_loss":0.2,"overruled":[],"undone":0,"cause":"","follow_ups":[],"closed":"","called_from":null,"merged_into":""}', 0, '');
INSERT INTO public.inbox VALUES
	(1, 'one', '2026-03-01T20:00:00.000000+00:00', '\x7b22616c65727473223a205b5d7d', false);
INSERT INTO public.ledger VALUES
	(1, '2026-03-01T15:00:00.000000+00:00', 'entries', 'inc-1', 2, '57faac61255c2393c04915cf9904e0f4007592e762f848f9ff4825e3decf2967', '2870716c1da88fa1ce649be92b8fae9dd64bb5b06ca3ca2974b4750baf3c5679'),
	(2, '2026-03-01T15:01:00.000000+00:00', 'entries', 'inc-1', 3, 'caec66c5c7bd78b612c94446188c193c89c15045bfaaf15d39dfb414d0e9fb2e', 'ea0fe6c508e796c72dac41f79c3b0b7d7f8b311492a55da2f5d0ed324fc82c6b'),
	(3, '2026-03-01T15:02:00.000000+00:00', 'entries', 'inc-1', 4, '9ad490213cd39d27c69cdfa8dbfa0dd8200de5b64c11dc71421986cdce746132', '41eed5723d77a8204cf988970e7ee45bc2ff055de2013c542639683a9e314ee5'),
	(4, '2026-03-01T15:03:00.000000+00:00', 'entries', 'inc-1', 5, 'e23a1b988a7731e9a52625c3e4deff50624a99d3c48d02850e6ece80679871e0', 'aea116bbd648c7726a559306f5cd537fdd221524e4d40b4548efffa7b5aec807'),
	(5, '2026-03-01T15:04:00.000000+00:00', 'entries', 'inc-1', 7, 'd4cefff51ecf29c5e0575a0cdd22f374782bba4f3af08c5058a6715b6e202aea', 'd8018b83f762cf51341d92a4a5c0d45b025323620f62e19d71ea01fe54405b0a'),
	(6, '2026-03-01T15:05:00.000000+00:00', 'claimed', 'inc-1', 1, '{"by_person":false,"domain":"eu","rule":"checkout","target":"release:shop","team":"shop"}', 'ddd146ba849478b0adda8fc55ff2559505dd673e72a6ed44a41d7332900d2711'),
	(7, '2026-03-01T15:05:00.000000+00:00', 'entries', 'inc-1', 8, '43577c056272b68231cacd313b087956d5ca51b5c1cf16d1684db19be2aef883', '4571d7fcc97200f2116e4ad9bc566d034801512d038d90a7c3d0aa1689359e6d'),
	(8, '2026-03-01T15:06:00.000000+00:00', 'entries', 'inc-1', 9, 'fc5fa888c4ebe295af346130628c3e1ae350bee30f37e86fc296745f9791b50f', 'e7b0dc29e0c282e6212e434d97e2e664372c040169c36e08d72f36e9c1ff6783'),
	(9, '2026-03-01T15:07:00.000000+00:00', 'released', 'inc-1', 0, '{"acted":true}', 'a7b6691c9231a5626f708fed4a491a4cd2a72e82ef10e1daf991bfe3cd98961f'),
	(10, '2026-03-01T15:07:00.000000+00:00', 'entries', 'inc-1', 10, '1a40b750ed35851143874d792591ad22b521abcc8e69b41d161aa810a83d8ac1', 'bde492c39b11a99b3a37832935295d9f62e6d7651c695836e0219747b6271e5f'),
	(11, '2026-03-01T15:08:00.000000+00:00', 'entries', 'inc-1', 11, '63d7f40f09caee38d8292d1e1123d75bce2eb2e88fd5ad7b555e1f2f4321acc9', '5ebfd49b596c0b8a515c7bd7c9c5ade4b1a272cf5f65eed311ca12c3b77249f1'),
	(12, '2026-03-01T15:09:00.000000+00:00', 'marked', 'inc-1', 0, '[["release:shop","v2","bad"],["release:shop","v1","healthy"]]', 'ce32c8f0b99c22284f0785822bc1347d6194f0bbd284782162c926c0f2168afe'),
	(13, '2026-03-01T15:09:00.000000+00:00', 'entries', 'inc-1', 13, '367b5adf897b5b8b3db254092acdffbc713a175c670d830adaf4ede023ae2ba3', '9e6da7481c428808d089730c0e24dbf6b35db4013db340f1d7b5a1a0dd5392d7'),
	(14, '2026-03-01T15:10:00.000000+00:00', 'entries', 'inc-1', 14, 'd022f3da87d50682d1c0f436f3457b92f8f4bed8400ddd2a52ba95e7bd95a6be', 'dbc10b5ae544bb685e0346c839480aff58b26193ca7129ef91f71255c645c588'),
	(15, '2026-03-01T15:11:00.000000+00:00', 'entries', 'inc-1', 15, '845987afa87f8fb307f54d518f48b7bba2eb3fffb53c063b900cca6eeaed5799', '14ec90dcb974bcd53a16c08afec9a71570f9b8e3cc2da54b7a8b1c57a86d13b8'),
	(16, '2026-03-01T16:00:00.000000+00:00', 'entries', 'inc-2', 2, 'cc26ff8639f77cc428784e12f315b48dfe68ae77fd5af28a7893c1fe8fbbaa7f', '36f4113af071049955d54d26e7496529ce9a4eca9efeb6531a49471ea6d70c2b'),
	(17, '2026-03-01T16:01:00.000000+00:00', 'entries', 'inc-2', 3, 'cad27cd92382a634d6b158500c1e207dd44264d74d170c5eb910fee381c0a36d', 'ce6baa441cdaf77c8503cdb498d686656be252dc9da9b5ccb12a7b6ce07b7b1a'),
	(18, '2026-03-01T16:02:00.000000+00:00', 'entries', 'inc-2', 4, 'f06d729ea1446a3aec7c0a91d424fd1f6525b97ca6b005dc424fccfb4a3b0cc5', '4f026670040ba09e9e5ef9801f176e8376b8c460e0fe9104ea3626f41004f669'),
	(19, '2026-03-01T16:03:00.000000+00:00', 'entries', 'inc-2', 5, '69fb912beab48485983e9f9ec8b14830933d598726ee4b7b0c64e86e0a8d096b', 'a544c35c8ad3c66a5e0ae5afce2bb6db3965ef304ef6a6357e882781b32200c4'),
	(20, '2026-03-01T16:04:00.000000+00:00', 'entries', 'inc-2', 7, '416f6d041b3bb1e04f18715362a411e37d97aee1862fdd1f20a18e8dc2745cfe', '68f779a11b9c36bc2ad4731c48ef74129dfbcd5191e8dec6670e9fc7987060e9'),
	(21, '2026-03-01T16:05:00.000000+00:00', 'claimed', 'inc-2', 1, '{"by_person":false,"domain":"eu","rule":"checkout","target":"release:cart","team":"shop"}', '67f7ffac626d322a06ce00370d64819d6cf2363d400b7818a0ca0456b03cfb6a'),
	(22, '2026-03-01T16:05:00.000000+00:00', 'entries', 'inc-2', 8, '93938d056121713dcee1c793b7514946b0c3b286b6fe7f00dbcb7eed7a16c241', '75fbe6c2999cb82734400d5b691887b5084f24042400cf3fcbcfd00c4d7807d9'),
	(23, '2026-03-01T16:06:00.000000+00:00', 'entries', 'inc-2', 9, 'd46da6f7fd4cfb78e1af42a575d0442a5476098b445915c997a2c028d18cb6be', 'ea753c16b9bd877a30a270e23a6bd70626bdb755af36f5a7d67af37154109388'),
	(24, '2026-03-01T16:07:00.000000+00:00', 'released', 'inc-2', 0, '{"acted":true}', '597c1b722a229346db61f403078daf2a607bd864910582aaf3d2dbf341be9bb2'),
	(25, '2026-03-01T16:07:00.000000+00:00', 'entries', 'inc-2', 10, 'b2f19566e18e64713b01571c41b6c117ca32963cbe48571838fd330c4718b498', '4a4bde8bb76c68d8d20f2ab58d4adc1384765a71d6f75270766bd35fdf7b9372'),
	(26, '2026-03-01T16:08:00.000000+00:00', 'entries', 'inc-2', 11, '902732f5edecd12edfc4e362190e2cb3cbc0c4e13ccb9aae9834f1b7ee3a1960', '2f5596d0c8994e94d68b36c77cf739ebb3aa0b05587eb9c26760cf0a74762a07'),
	(27, '2026-03-01T16:09:00.000000+00:00', 'marked', 'inc-2', 0, '[["release:cart","v2","bad"],["release:cart","v1","healthy"]]', 'c17126dbd732bf23687d00f0d91e4f07ad621cf79d6d8e5557b5d817e522a3da'),
	(28, '2026-03-01T16:09:00.000000+00:00', 'entries', 'inc-2', 13, 'a4c9493f19ce5c800f43743ec6be72b1a3ce5616cec0e944900eea347f6f64f7', '53ebef73522df82e283e259bad4b6a62da504ff009f3bc0d2fa4d88d0b205444'),
	(29, '2026-03-01T16:10:00.000000+00:00', 'entries', 'inc-2', 14, 'b65390ab1f28fba9ed07218e634ea04e7b6a2125f16972f270f0e3e4854ae3cf', 'c0f8eb37a78189d786b42c3351a8eeffd30970e2febf048bed173125cc0e4939'),
	(30, '2026-03-01T16:11:00.000000+00:00', 'entries', 'inc-2', 15, '8c62ceeeb2b6d7cda84aa2585b668e2d810ae1f52ca8564a10975db1871b210d', '32ac2768a56db8d1581b8c8f171a146f7aafdd502b0b70f36c29bd0a493da503'),
	(31, '2026-03-01T19:00:00.000000+00:00', 'entries', 'inc-3', 2, 'a0d419aca0395580033fc882231da237c3dfac7115eecc03214d7f3414b6aa5f', 'ecd41846f9bfcd4dc898ed5719b6b8efc3f198abdf3da871378dd2a51edb6bf8'),
	(32, '2026-03-01T19:01:00.000000+00:00', 'entries', 'inc-3', 3, '5000ac81b5b06ac59fadfb44de8f5b5f3919f8ae4a864d9c8db674af866cb1ef', '3e0a6cc1f58521624f14518f31b85d7a27abdcc79a65cf4729fc86515f25cd0d'),
	(33, '2026-03-01T19:02:00.000000+00:00', 'entries', 'inc-3', 4, '68e8105fce8f790518c9d1d8cc597e63b7eb227340121daabb5716e71d9d8c78', '4c0c0584bd6e04ef7896f10766f548f5b31b1daef23dc05a0f1e9d9f12723f1d'),
	(34, '2026-03-01T19:03:00.000000+00:00', 'entries', 'inc-3', 5, '1f761b167c610f7b2005cff1e7c25fa3d52bcea565fb050b944bb9b75ea429c3', '0a60b6d42d2e185bc81c2f1fe778c2702bdfcf736c1e56fa169de98dd5599744'),
	(35, '2026-03-01T19:04:00.000000+00:00', 'entries', 'inc-3', 7, '5709395249e5c796d44ddef0af27c745bb8a3c7dd08371ae3d22baaab8d18825', 'fcc327d8c989b25eef73bb1dbe40b073fa8c12297259b70aab99832b9b37c6f3'),
	(36, '2026-03-01T19:05:00.000000+00:00', 'claimed', 'inc-3', 1, '{"by_person":false,"domain":"eu","rule":"checkout","target":"release:search","team":"shop"}', '1592697c71eef51722987d5dbf25c42e0b4f2266c299630d9c3bf4082a3710b0'),
	(37, '2026-03-01T19:05:00.000000+00:00', 'entries', 'inc-3', 8, '4e2789123245e1d45c18f65c6e9d5a0acefeec82ebf11371aa42060863c6f237', '08513342feefae3720bae4c5e2089b5dbed78fa457756e78af9aca39be56d1e5'),
	(38, '2026-03-01T19:06:00.000000+00:00', 'entries', 'inc-3', 9, '280b3fe6670e0775eee5bbbf00c588bd82450169faae364285696c842ef6f37d', '1eabbd5bdfc48cad0d1bcee1a60dde97c4c53be3cecc41ef2bb1f7577d14b09d'),
	(39, '2026-03-01T20:00:00.000000+00:00', 'frozen', '', 0, '{"by":"anna","reason":"sale","scope":"global","until":null}', '2ae737c1728247e661c750c73dd7c0cbb910f6cfc54a8bf02c861717c7531619'),
	(40, '2026-03-01T20:01:00.000000+00:00', 'thawed', '', 0, '{"by":"ben","scope":"global"}', '76a7b3bc09cbbe4ee510ccf63e5add69e449ca03762b3c75cd4fff2d76aff8cf'),
	(41, '2026-03-01T20:00:00.000000+00:00', 'frozen', '', 0, '{"by":"anna","reason":"migration","scope":"team:web","until":"2026-04-08T08:00:00.000000+00:00"}', '3a8bebdc31b06c18566d55c2b53ccb0d748335b7071ad52102e3817eef849fdd'),
	(42, '2026-03-01T20:00:00.000000+00:00', 'overridden', '', 0, '{"by":"anna","id":"o1","person":"bo","reason":"","replaces":"","schedule":"web","start":"2026-03-01T20:00:00.000000+00:00","swap":"","until":"2026-03-01T21:00:00.000000+00:00"}', '72172a2fa8c3e64c329302b9f9bc84c93372c1bb8393adacfc2f2b8e0e9cb50e'),
	(43, '2026-03-01T20:00:00.000000+00:00', 'overridden', '', 0, '{"by":"anna","id":"o2","person":"bo","reason":"","replaces":"","schedule":"web","start":"2026-03-01T20:00:00.000000+00:00","swap":"","until":"2026-03-01T21:00:00.000000+00:00"}', 'e4ae30415712126bae36319cf4df549453471199d6f0cd571d6c57e791e53cfc'),
	(44, '2026-03-01T20:01:00.000000+00:00', 'override-removed', '', 0, '{"by":"bo","id":"o2"}', '6d7d38c08974609beb456d250b0815ee3fe906b334ed1ce261dd98f845a6cc7e'),
	(45, '2026-03-01T20:00:00.000000+00:00', 'swap-asked', '', 0, '{"asked":"bo","asker":"anna","id":"s1","reason":"","return_start":null,"return_until":null,"schedule":"web","start":"2026-03-01T20:00:00.000000+00:00","until":"2026-03-01T21:00:00.000000+00:00"}', 'b04376aa360bb2e44fa99a8b03d8b9d4103db77915036cd92960324b06f061b9'),
	(46, '2026-03-01T20:01:00.000000+00:00', 'swap-answered', '', 0, '{"answer":"declined","id":"s1"}', '02229436ac311884b085671de2ca788e2eeffa7a9e3a87115047d448d9fe5cdb');
INSERT INTO public.marks VALUES
	('release:shop', 'v2', 'bad', '2026-03-01T15:09:00.000000+00:00', 'inc-1'),
	('release:shop', 'v1', 'healthy', '2026-03-01T15:09:00.000000+00:00', 'inc-1'),
	('release:cart', 'v2', 'bad', '2026-03-01T16:09:00.000000+00:00', 'inc-2'),
	('release:cart', 'v1', 'healthy', '2026-03-01T16:09:00.000000+00:00', 'inc-2');
INSERT INTO public.meta VALUES
	('schema', '9'),
	('keys', '{"keys":[{"id":"9f4da7dc","secret":"kept-for-the-test-of-an-upgrade-and-never-used","made_at":"2026-11-30T11:00:42.839560Z","made_by":"stopgap","retired_at":null,"retired_by":"","revoked":false,"nameless":false}]}');
INSERT INTO public.oncall_overrides VALUES
	('o1', 'web', 'bo', '', '2026-03-01T20:00:00.000000+00:00', '2026-03-01T21:00:00.000000+00:00', '', 'anna', '2026-03-01T20:00:00.000000+00:00', '', NULL, NULL),
	('o2', 'web', 'bo', '', '2026-03-01T20:00:00.000000+00:00', '2026-03-01T21:00:00.000000+00:00', '', 'anna', '2026-03-01T20:00:00.000000+00:00', '', 'bo', '2026-03-01T20:01:00.000000+00:00');
INSERT INTO public.oncall_swaps VALUES
	('s1', 'web', 'anna', 'bo', '2026-03-01T20:00:00.000000+00:00', '2026-03-01T21:00:00.000000+00:00', NULL, NULL, '', '2026-03-01T20:00:00.000000+00:00', 'declined', '2026-03-01T20:01:00.000000+00:00');
SELECT pg_catalog.setval('public.actions_number_seq', 3, true);
SELECT pg_catalog.setval('public.inbox_arrival_seq', 1, true);
ALTER TABLE ONLY public.actions
    ADD CONSTRAINT actions_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.alert_ends
    ADD CONSTRAINT alert_ends_pkey PRIMARY KEY (alert);
ALTER TABLE ONLY public.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (subject, item, at);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (incident, seq);
ALTER TABLE ONLY public.freezes
    ADD CONSTRAINT freezes_pkey PRIMARY KEY (scope);
ALTER TABLE ONLY public.heads
    ADD CONSTRAINT heads_pkey PRIMARY KEY (incident);
ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_identity_key UNIQUE (identity);
ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (arrival);
ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.maintenance_windows
    ADD CONSTRAINT maintenance_windows_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.marks
    ADD CONSTRAINT marks_pkey PRIMARY KEY (subject, item);
ALTER TABLE ONLY public.meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.oncall_overrides
    ADD CONSTRAINT oncall_overrides_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.oncall_swaps
    ADD CONSTRAINT oncall_swaps_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (id);
CREATE INDEX actions_by_end ON public.actions USING btree (target, finished_at);
CREATE INDEX actions_by_start ON public.actions USING btree (started_at);
CREATE INDEX changes_by_time ON public.changes USING btree (at);
CREATE INDEX deliveries_waiting ON public.inbox USING btree (arrival) WHERE (processed IS FALSE);
CREATE INDEX heads_by_age ON public.heads USING btree (opened_at);
CREATE INDEX heads_by_onset ON public.heads USING btree (onset_from);
CREATE INDEX heads_by_rule ON public.heads USING btree (rule, opened_at);
CREATE INDEX heads_pending ON public.heads USING btree (opened_at) WHERE (pending > 0);
CREATE INDEX heads_with_routes ON public.heads USING btree (incident) WHERE (length(routes) > 0);
CREATE INDEX oncall_overrides_by_end ON public.oncall_overrides USING btree (until);
CREATE UNIQUE INDEX one_open_incident_per_key ON public.heads USING btree (key) WHERE (closed_at IS NULL);
CREATE UNIQUE INDEX one_running_action_per_target ON public.actions USING btree (target) WHERE (finished_at IS NULL);
CREATE INDEX sessions_by_end ON public.sessions USING btree (ends_at);
CREATE INDEX tokens_by_person ON public.tokens USING btree (person);
