-- A store of schema 4, as the stopgap of 2026-11-29 wrote it: sqlite3 stopgap.db .dump
BEGIN TRANSACTION;
CREATE TABLE actions (
	number INTEGER NOT NULL, 
	incident TEXT NOT NULL, 
	step INTEGER NOT NULL, 
	target TEXT NOT NULL, 
	started_at TEXT NOT NULL, 
	finished_at TEXT, 
	rule TEXT DEFAULT '' NOT NULL, 
	team TEXT DEFAULT '' NOT NULL, 
	domain TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "actions" VALUES(1,'inc-1',1,'release:shop','2026-03-01T15:05:00.000000+00:00','2026-03-01T15:07:00.000000+00:00','checkout','shop','eu');
INSERT INTO "actions" VALUES(2,'inc-2',1,'release:cart','2026-03-01T16:05:00.000000+00:00','2026-03-01T16:07:00.000000+00:00','checkout','shop','eu');
INSERT INTO "actions" VALUES(3,'inc-3',1,'release:search','2026-03-01T19:05:00.000000+00:00',NULL,'checkout','shop','eu');
CREATE TABLE alert_ends (
	alert TEXT NOT NULL, 
	ends_at TEXT NOT NULL, 
	PRIMARY KEY (alert)
);
CREATE TABLE changes (
	subject TEXT NOT NULL, 
	item TEXT NOT NULL, 
	previous TEXT NOT NULL, 
	at TEXT NOT NULL, 
	seen_by TEXT NOT NULL, 
	text TEXT DEFAULT '' NOT NULL, 
	target TEXT DEFAULT '' NOT NULL, 
	labels TEXT DEFAULT '{}' NOT NULL, 
	PRIMARY KEY (subject, item, at)
);
CREATE TABLE events (
	incident TEXT NOT NULL, 
	seq INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	format INTEGER NOT NULL, 
	body TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	PRIMARY KEY (incident, seq)
);
INSERT INTO "events" VALUES('inc-1',1,'2026-03-01T15:00:00.000000+00:00','stopgap','IncidentOpened',1,'{"group_labels":{"service":"shop"},"key":"[\"checkout\", [[\"service\", \"shop\"]]]","kind":"IncidentOpened","rule":"checkout","team":"shop","title":"CheckoutFails"}','7a22b8b48f3605ebf45a03de4a09135fbfeb378220a444ee674a43e5bb4d7ee0');
INSERT INTO "events" VALUES('inc-1',2,'2026-03-01T15:00:00.000000+00:00','stopgap','AlertsReceived',1,'{"alerts":[{"annotations":{},"ends_at":"0001-01-01T00:00:00Z","fingerprint":"","generator_url":"","labels":{"alertname":"CheckoutFails","service":"shop"},"starts_at":"2026-03-01T14:08:00Z","status":"firing"}],"incomplete":false,"kind":"AlertsReceived"}','7a574be9bb0aae1fa1a8a33c3f11166942b8889e8094c46deacb6f78f489f314');
INSERT INTO "events" VALUES('inc-1',3,'2026-03-01T15:01:00.000000+00:00','stopgap','PageQueued',1,'{"about":"","asks":"acknowledge","attempt":0,"kind":"PageQueued","page":"r0.t0.ada","person":"ada","reason":"escalation","round":0,"text":"come","tier":0}','27eec065c1378716768f1262101f8e095930008a2eebdc2b959777babe53963e');
INSERT INTO "events" VALUES('inc-1',4,'2026-03-01T15:02:00.000000+00:00','stopgap','PageDelivered',1,'{"kind":"PageDelivered","method":"console","page":"r0.t0.ada","proof":"taken"}','8a5309bfebd6ca4adf8793427086ae9dff850ac5622ac583c88e61f186f4920c');
INSERT INTO "events" VALUES('inc-1',5,'2026-03-01T15:03:00.000000+00:00','stopgap','ProblemDefined',1,'{"kind":"ProblemDefined","problem":{"at":"2026-03-01T15:02:00Z","baseline":0.99,"baseline_from":"2026-03-01T14:17:00Z","baseline_traffic":600.0,"baseline_until":"2026-03-01T14:57:00Z","failed_per_minute":126.0,"impact":[],"kind":"counts","onset":"2026-03-01T14:58:00Z","onset_within":"30s","queries":[],"reason":"loss_exceeds_threshold","sentiment":[],"severity":"sev1","symptom":"success rate","text":"success rate 99.0 % \u2192 79.0 %","verdict":"confirmed","windows":[{"exceeds":true,"high":0.22,"level":0.79,"loss":0.2,"low":0.18000000000000002,"significant":true,"traffic":600.0,"window":"1m"}]},"suspicion":null}','49509850f66d222c5793e43818efd6c9a76914c8e84394ccf0c64a93305f1cd9');
INSERT INTO "events" VALUES('inc-1',6,'2026-03-01T15:04:00.000000+00:00','ada (cli)','ResponderArrived',1,'{"kind":"ResponderArrived","person":"ada","via":"cli"}','28ae99cbfb538c2c24781af2fd330556c76e62b6028a480b1281de1f247530de');
INSERT INTO "events" VALUES('inc-1',7,'2026-03-01T15:04:00.000000+00:00','ada (cli)','CommanderAppointed',1,'{"kind":"CommanderAppointed","person":"ada","reason":"the first responder"}','e5f073bb627aafb0c3472566dbd3ffe870ecabdda7036d6c79636d5cf85c02a0');
INSERT INTO "events" VALUES('inc-1',8,'2026-03-01T15:05:00.000000+00:00','stopgap','StepStarted',1,'{"action":"release_rollback","authority":"pre-approved by ada until 2026-12-23","kind":"StepStarted","params":{"directory":"shop"},"step":1,"target":"release:shop"}','11ec2b4c7bd204f04a8896ca308053a473febfa37da6e3ec2a97d0df973743f1');
INSERT INTO "events" VALUES('inc-1',9,'2026-03-01T15:06:00.000000+00:00','stopgap','StepPrepared',1,'{"intent":{"from":"v2","to":"v1"},"kind":"StepPrepared","step":1,"summary":"v2 \u2192 v1"}','2a4e98f39f828ea83e69ca74c9ce52ec2ed00e8eaba94fa84ce0aa278a065a9a');
INSERT INTO "events" VALUES('inc-1',10,'2026-03-01T15:07:00.000000+00:00','stopgap','StepFinished',1,'{"kind":"StepFinished","outcome":{"detail":"v2 \u2192 v1","facts":{},"reason":"rolled_back","result":"done"},"step":1}','52259635d746df1ac8e0273518979480c9b3717356ecb3fbb1ce265c7b7e814f');
INSERT INTO "events" VALUES('inc-1',11,'2026-03-01T15:08:00.000000+00:00','stopgap','RecoveryMeasured',1,'{"kind":"RecoveryMeasured","reading":{"at":"2026-03-01T15:07:00Z","high":null,"level":0.99,"loss":0.0,"low":null,"reason":"near_baseline","severity":"","state":"healthy","traffic":600.0},"step":1}','c5a0f30645795b053f78a22e5daabd00e6f6fd093e470e0930f0b979496e34ed');
INSERT INTO "events" VALUES('inc-1',12,'2026-03-01T15:09:00.000000+00:00','stopgap','StepVerified',1,'{"kind":"StepVerified","step":1,"text":"79 % \u2192 99 %","verdict":"recovered"}','863b9b4e6fd373d4b4c9f79a6646e674af8936f29cd5d5033b1adbfb4b532be7');
INSERT INTO "events" VALUES('inc-1',13,'2026-03-01T15:09:00.000000+00:00','stopgap','Recovered',1,'{"kind":"Recovered","step":1,"text":"79 % \u2192 99 %"}','63df6bfd6aabc61ab56684cf34e5b19c0c34a260a73da98ff186f6924e616a84');
INSERT INTO "events" VALUES('inc-1',14,'2026-03-01T15:10:00.000000+00:00','stopgap','IncidentClosed',1,'{"kind":"IncidentClosed","reason":"recovered","text":"held for 30m"}','73d58797691250fe9fbf6834949e3e81cac35029ce24111041ace1f8b2afdf28');
INSERT INTO "events" VALUES('inc-1',15,'2026-03-01T15:11:00.000000+00:00','stopgap','ReviewWritten',1,'{"kind":"ReviewWritten","path":"reviews/inc-1.md"}','403dfdcddd958845ddce71446fc339ca4c42fd355f5211f52269f31f221b2cd7');
INSERT INTO "events" VALUES('inc-2',1,'2026-03-01T16:00:00.000000+00:00','stopgap','IncidentOpened',1,'{"group_labels":{"service":"cart"},"key":"[\"checkout\", [[\"service\", \"cart\"]]]","kind":"IncidentOpened","rule":"checkout","team":"shop","title":"CheckoutFails"}','b235efccb7640d9f5675a10656e00996368c4f67dce9d3a4c6061e9e13f5b88a');
INSERT INTO "events" VALUES('inc-2',2,'2026-03-01T16:00:00.000000+00:00','stopgap','AlertsReceived',1,'{"alerts":[{"annotations":{},"ends_at":"0001-01-01T00:00:00Z","fingerprint":"","generator_url":"","labels":{"alertname":"CheckoutFails","service":"cart"},"starts_at":"2026-03-01T14:08:00Z","status":"firing"}],"incomplete":false,"kind":"AlertsReceived"}','97668bd5f83b72420085de900409157a6fdc511bcd447452dcf7ff28b5b6cb13');
INSERT INTO "events" VALUES('inc-2',3,'2026-03-01T16:01:00.000000+00:00','stopgap','PageQueued',1,'{"about":"","asks":"acknowledge","attempt":0,"kind":"PageQueued","page":"r0.t0.ada","person":"ada","reason":"escalation","round":0,"text":"come","tier":0}','4e667a05845752c8a022f58d11e72704d383ee9a451408b7115d393cdbad2436');
INSERT INTO "events" VALUES('inc-2',4,'2026-03-01T16:02:00.000000+00:00','stopgap','PageDelivered',1,'{"kind":"PageDelivered","method":"console","page":"r0.t0.ada","proof":"taken"}','f3a9b3dd67579cb60948f817180ebfac315a978ea6d10c86453c63c27ab92d62');
INSERT INTO "events" VALUES('inc-2',5,'2026-03-01T16:03:00.000000+00:00','stopgap','ProblemDefined',1,'{"kind":"ProblemDefined","problem":{"at":"2026-03-01T16:02:00Z","baseline":0.99,"baseline_from":"2026-03-01T15:17:00Z","baseline_traffic":600.0,"baseline_until":"2026-03-01T15:57:00Z","failed_per_minute":126.0,"impact":[],"kind":"counts","onset":"2026-03-01T15:58:00Z","onset_within":"30s","queries":[],"reason":"loss_exceeds_threshold","sentiment":[],"severity":"sev1","symptom":"success rate","text":"success rate 99.0 % \u2192 79.0 %","verdict":"confirmed","windows":[{"exceeds":true,"high":0.22,"level":0.79,"loss":0.2,"low":0.18000000000000002,"significant":true,"traffic":600.0,"window":"1m"}]},"suspicion":null}','524e40e295ea278890807c85c5f7a833745d30bff7109ba8d9ef83f45581dd38');
INSERT INTO "events" VALUES('inc-2',6,'2026-03-01T16:04:00.000000+00:00','ada (cli)','ResponderArrived',1,'{"kind":"ResponderArrived","person":"ada","via":"cli"}','e1c572d6af638a785201d3fb727155f26962adbc3b9e4e0cd978269f1aad1a87');
INSERT INTO "events" VALUES('inc-2',7,'2026-03-01T16:04:00.000000+00:00','ada (cli)','CommanderAppointed',1,'{"kind":"CommanderAppointed","person":"ada","reason":"the first responder"}','90d9bee0be10bfd47738970078b81a27c5250befc00f9312c506fd653940449f');
INSERT INTO "events" VALUES('inc-2',8,'2026-03-01T16:05:00.000000+00:00','stopgap','StepStarted',1,'{"action":"release_rollback","authority":"pre-approved by ada until 2026-12-23","kind":"StepStarted","params":{"directory":"cart"},"step":1,"target":"release:cart"}','4c12edfd0be8ab409f38de7ac1a9ab1ffa8fe6fec0d4c44fb1b732002c6306fd');
INSERT INTO "events" VALUES('inc-2',9,'2026-03-01T16:06:00.000000+00:00','stopgap','StepPrepared',1,'{"intent":{"from":"v2","to":"v1"},"kind":"StepPrepared","step":1,"summary":"v2 \u2192 v1"}','9107e2849ac70a13b95211ea6b6309bd7b0c3f29e61bc61599806c623fc62103');
INSERT INTO "events" VALUES('inc-2',10,'2026-03-01T16:07:00.000000+00:00','stopgap','StepFinished',1,'{"kind":"StepFinished","outcome":{"detail":"v2 \u2192 v1","facts":{},"reason":"rolled_back","result":"done"},"step":1}','5ebf673b6fa5c3634d5fe91be322a3a956c8901608f97f941559c29a1d0b6de7');
INSERT INTO "events" VALUES('inc-2',11,'2026-03-01T16:08:00.000000+00:00','stopgap','RecoveryMeasured',1,'{"kind":"RecoveryMeasured","reading":{"at":"2026-03-01T16:07:00Z","high":null,"level":0.99,"loss":0.0,"low":null,"reason":"near_baseline","severity":"","state":"healthy","traffic":600.0},"step":1}','34230284c40978467a67e316bcd433e2306ea3ea462a374ba869adf9c5f66abd');
INSERT INTO "events" VALUES('inc-2',12,'2026-03-01T16:09:00.000000+00:00','stopgap','StepVerified',1,'{"kind":"StepVerified","step":1,"text":"79 % \u2192 99 %","verdict":"recovered"}','70e6af8345d7e65bcb003d8dd5d37adb52ad00ab6939e1a5b575fc81cf40a787');
INSERT INTO "events" VALUES('inc-2',13,'2026-03-01T16:09:00.000000+00:00','stopgap','Recovered',1,'{"kind":"Recovered","step":1,"text":"79 % \u2192 99 %"}','e642c8874ec9726c663778c749b2a541488cbe9d4881eb572b40d699133cce1d');
INSERT INTO "events" VALUES('inc-2',14,'2026-03-01T16:10:00.000000+00:00','stopgap','IncidentClosed',1,'{"kind":"IncidentClosed","reason":"recovered","text":"held for 30m"}','b2e1745c21fadc1ba882c371b6345096caeb35334039d118e8fbf332466cce21');
INSERT INTO "events" VALUES('inc-2',15,'2026-03-01T16:11:00.000000+00:00','stopgap','ReviewWritten',1,'{"kind":"ReviewWritten","path":"reviews/inc-2.md"}','e0c4adbed3dbc385c4430d3674a2daaea37adfff14305283b9b7247ff45b2d7f');
INSERT INTO "events" VALUES('inc-3',1,'2026-03-01T19:00:00.000000+00:00','stopgap','IncidentOpened',1,'{"group_labels":{"service":"search"},"key":"[\"checkout\", [[\"service\", \"search\"]]]","kind":"IncidentOpened","rule":"checkout","team":"shop","title":"CheckoutFails"}','43b56b294c3a9b7a3d11686026a67575f85a29686d6f721d1232af8c04c3d945');
INSERT INTO "events" VALUES('inc-3',2,'2026-03-01T19:00:00.000000+00:00','stopgap','AlertsReceived',1,'{"alerts":[{"annotations":{},"ends_at":"0001-01-01T00:00:00Z","fingerprint":"","generator_url":"","labels":{"alertname":"CheckoutFails","service":"search"},"starts_at":"2026-03-01T14:08:00Z","status":"firing"}],"incomplete":false,"kind":"AlertsReceived"}','ff25d1ffc48ed0856dcac5f0540d6813417a1d8058d6cad05aeafd66ee9b8a82');
INSERT INTO "events" VALUES('inc-3',3,'2026-03-01T19:01:00.000000+00:00','stopgap','PageQueued',1,'{"about":"","asks":"acknowledge","attempt":0,"kind":"PageQueued","page":"r0.t0.ada","person":"ada","reason":"escalation","round":0,"text":"come","tier":0}','750b3fb9396cfa4bae4efa2550778370519f86f1a41094e2fa9bf8c56e4a0e99');
INSERT INTO "events" VALUES('inc-3',4,'2026-03-01T19:02:00.000000+00:00','stopgap','PageDelivered',1,'{"kind":"PageDelivered","method":"console","page":"r0.t0.ada","proof":"taken"}','59d02d2d12a416e002800004937db9dea06219f3760a6472ef08932c7fd1003f');
INSERT INTO "events" VALUES('inc-3',5,'2026-03-01T19:03:00.000000+00:00','stopgap','ProblemDefined',1,'{"kind":"ProblemDefined","problem":{"at":"2026-03-01T19:02:00Z","baseline":0.99,"baseline_from":"2026-03-01T18:17:00Z","baseline_traffic":600.0,"baseline_until":"2026-03-01T18:57:00Z","failed_per_minute":126.0,"impact":[],"kind":"counts","onset":"2026-03-01T18:58:00Z","onset_within":"30s","queries":[],"reason":"loss_exceeds_threshold","sentiment":[],"severity":"sev1","symptom":"success rate","text":"success rate 99.0 % \u2192 79.0 %","verdict":"confirmed","windows":[{"exceeds":true,"high":0.22,"level":0.79,"loss":0.2,"low":0.18000000000000002,"significant":true,"traffic":600.0,"window":"1m"}]},"suspicion":null}','8433553f80a63a70ed5462e4a763c2b22d779cc466cb963dda03d61cb6f281d3');
INSERT INTO "events" VALUES('inc-3',6,'2026-03-01T19:04:00.000000+00:00','ada (cli)','ResponderArrived',1,'{"kind":"ResponderArrived","person":"ada","via":"cli"}','896552f6071c9628a1c852b293d0dcff50df70676eeeaeb1e141eba229cb45a1');
INSERT INTO "events" VALUES('inc-3',7,'2026-03-01T19:04:00.000000+00:00','ada (cli)','CommanderAppointed',1,'{"kind":"CommanderAppointed","person":"ada","reason":"the first responder"}','79c23b6cf44ccc7c88f44421e42362bf42d7b3346277278e402e7f98cd949ccc');
INSERT INTO "events" VALUES('inc-3',8,'2026-03-01T19:05:00.000000+00:00','stopgap','StepStarted',1,'{"action":"release_rollback","authority":"pre-approved by ada until 2026-12-23","kind":"StepStarted","params":{"directory":"search"},"step":1,"target":"release:search"}','0f47a34031019cc23e870b1162654d7288dbb420dbdb9d0d6fe581cd86df8743');
INSERT INTO "events" VALUES('inc-3',9,'2026-03-01T19:06:00.000000+00:00','stopgap','StepPrepared',1,'{"intent":{"from":"v2","to":"v1"},"kind":"StepPrepared","step":1,"summary":"v2 \u2192 v1"}','8747f2c3ba3e31dd4c49c25c796c4f5491257d6cc009b90713fa3a9b195cab6c');
INSERT INTO "events" VALUES('inc-4',1,'2026-03-01T20:00:00.000000+00:00','stopgap','IncidentOpened',1,'{"group_labels":{"service":"mail"},"key":"[\"checkout\", [[\"service\", \"mail\"]]]","kind":"IncidentOpened","rule":"checkout","team":"shop","title":"CheckoutFails"}','163e60492975749e9f3d4736e69163afde8a0f6df768962f62850dfbe1bead2f');
INSERT INTO "events" VALUES('inc-4',2,'2026-03-01T20:00:00.000000+00:00','stopgap','AlertsReceived',1,'{"alerts":[{"annotations":{},"ends_at":"0001-01-01T00:00:00Z","fingerprint":"","generator_url":"","labels":{"alertname":"CheckoutFails","service":"mail"},"starts_at":"2026-03-01T14:08:00Z","status":"firing"}],"incomplete":false,"kind":"AlertsReceived"}','226b1dfa0f761eee1a2f4b50d8e9269d41f937c3911b8be03f70e89fb730fcb9');
INSERT INTO "events" VALUES('inc-4',3,'2026-03-01T20:01:00.000000+00:00','stopgap','PageQueued',1,'{"about":"","asks":"acknowledge","attempt":0,"kind":"PageQueued","page":"r0.t0.ada","person":"ada","reason":"escalation","round":0,"text":"come","tier":0}','3622236b33c1d78ed34d1c700c9087b8172b00cac5fb77283feced0f3bdecf96');
INSERT INTO "events" VALUES('inc-4',4,'2026-03-01T20:02:00.000000+00:00','stopgap','PageDelivered',1,'{"kind":"PageDelivered","method":"console","page":"r0.t0.ada","proof":"taken"}','0fd4ab3cb68c4d188b4e765210a1e48f7104880daee49acdb310da401f5cf899');
INSERT INTO "events" VALUES('inc-4',5,'2026-03-01T20:03:00.000000+00:00','stopgap','IncidentClosed',1,'{"kind":"IncidentClosed","reason":"recovered","text":"held for 30m"}','ee04812cacc97b7529f8df7b9f6a20aaf4d106001b9587a5d42800ee8c9d1cc7');
CREATE TABLE freezes (
	scope TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	at TEXT NOT NULL, 
	until TEXT, 
	thawed_by TEXT, 
	thawed_at TEXT, 
	PRIMARY KEY (scope)
);
INSERT INTO "freezes" VALUES('global','sale','anna','2026-03-01T21:00:00.000000+00:00',NULL,'ben','2026-03-01T21:01:00.000000+00:00');
INSERT INTO "freezes" VALUES('team:shop','migration','anna','2026-03-01T21:00:00.000000+00:00','2028-08-17T21:00:00.000000+00:00',NULL,NULL);
CREATE TABLE heads (
	incident TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	seq INTEGER NOT NULL, 
	phase TEXT NOT NULL, 
	title TEXT NOT NULL, 
	severity TEXT NOT NULL, 
	opened_at TEXT NOT NULL, 
	closed_at TEXT, 
	wake_at TEXT, 
	rule TEXT DEFAULT '' NOT NULL, 
	team TEXT DEFAULT '' NOT NULL, 
	service TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (incident)
);
INSERT INTO "heads" VALUES('inc-1','["checkout", [["service", "shop"]]]',15,'closed','shop: success rate 99.0 % → 79.0 %','sev1','2026-03-01T15:00:00.000000+00:00','2026-03-01T15:10:00.000000+00:00',NULL,'checkout','shop','shop');
INSERT INTO "heads" VALUES('inc-2','["checkout", [["service", "cart"]]]',15,'closed','cart: success rate 99.0 % → 79.0 %','sev1','2026-03-01T16:00:00.000000+00:00','2026-03-01T16:10:00.000000+00:00',NULL,'checkout','shop','cart');
INSERT INTO "heads" VALUES('inc-3','["checkout", [["service", "search"]]]',9,'recovering','search: success rate 99.0 % → 79.0 %','sev1','2026-03-01T19:00:00.000000+00:00',NULL,'2026-03-01T19:06:00.000000+00:00','checkout','shop','search');
INSERT INTO "heads" VALUES('inc-4','["checkout", [["service", "mail"]]]',5,'closed','CheckoutFails','','2026-03-01T20:00:00.000000+00:00','2026-03-01T20:03:00.000000+00:00',NULL,'checkout','shop','mail');
CREATE TABLE inbox (
	arrival INTEGER NOT NULL, 
	identity TEXT NOT NULL, 
	received_at TEXT NOT NULL, 
	body BLOB NOT NULL, 
	processed BOOLEAN NOT NULL, 
	PRIMARY KEY (arrival), 
	UNIQUE (identity)
);
CREATE TABLE marks (
	subject TEXT NOT NULL, 
	item TEXT NOT NULL, 
	mark TEXT NOT NULL, 
	at TEXT NOT NULL, 
	incident TEXT NOT NULL, 
	PRIMARY KEY (subject, item)
);
INSERT INTO "marks" VALUES('release:shop','v2','bad','2026-03-01T15:09:00.000000+00:00','inc-1');
INSERT INTO "marks" VALUES('release:shop','v1','healthy','2026-03-01T15:09:00.000000+00:00','inc-1');
INSERT INTO "marks" VALUES('release:cart','v2','bad','2026-03-01T16:09:00.000000+00:00','inc-2');
INSERT INTO "marks" VALUES('release:cart','v1','healthy','2026-03-01T16:09:00.000000+00:00','inc-2');
CREATE TABLE meta (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('schema','4');
INSERT INTO "meta" VALUES('key','signs the links');
CREATE TABLE sessions (
	id TEXT NOT NULL, 
	person TEXT NOT NULL, 
	proof TEXT NOT NULL, 
	started_at TEXT NOT NULL, 
	ends_at TEXT NOT NULL, 
	client TEXT NOT NULL, 
	granted TEXT, 
	guest BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE tokens (
	id TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	person TEXT NOT NULL, 
	name TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	expires_at TEXT, 
	used_on TEXT, 
	revoked_at TEXT, 
	revoked_by TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (digest)
);
CREATE INDEX heads_by_rule ON heads (rule, opened_at);
CREATE UNIQUE INDEX one_open_incident_per_key ON heads ("key") WHERE closed_at IS NULL;
CREATE INDEX heads_by_age ON heads (opened_at);
CREATE INDEX actions_by_start ON actions (started_at);
CREATE INDEX actions_by_end ON actions (target, finished_at);
CREATE UNIQUE INDEX one_running_action_per_target ON actions (target) WHERE finished_at IS NULL;
CREATE INDEX changes_by_time ON changes (at);
CREATE INDEX deliveries_waiting ON inbox (arrival) WHERE processed IS 0;
CREATE INDEX sessions_by_end ON sessions (ends_at);
CREATE INDEX tokens_by_person ON tokens (person);
COMMIT;
