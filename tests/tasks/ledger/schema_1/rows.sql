-- Jobs in every state, as version 1 wrote them.
INSERT INTO "dewar_deliveries" VALUES('msg_00000002to110rlj92cotqmrrv9256a16abv','job-done','https://example.org/hook','{}',3.0,3.0,0,'pending',NULL,NULL,NULL,NULL);
INSERT INTO "dewar_jobs" VALUES('job-waiting','resize','queued','[[1],{}]','{"ä": 1}',NULL,0,1,0,1.0,1.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "dewar_jobs" VALUES('job-later','resize','queued','[[1],{}]',NULL,NULL,0,1,0,1.0,5000.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "dewar_jobs" VALUES('job-claimed','resize','queued','[[1],{}]',NULL,'here',0,1,0,1.0,1.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "dewar_jobs" VALUES('job-running','resize','running','[[1],{}]',NULL,'here',1,1,0,1.0,1.0,2.0,NULL,0.5,'half',NULL,NULL,NULL);
INSERT INTO "dewar_jobs" VALUES('job-running-once','resize','running','[[1],{}]',NULL,'here',1,0,0,1.0,1.0,2.0,NULL,NULL,NULL,NULL,NULL,'https://example.org/hook');
INSERT INTO "dewar_jobs" VALUES('job-stopping','resize','running','[[1],{}]',NULL,'here',1,1,1,1.0,1.0,2.0,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "dewar_jobs" VALUES('job-done','resize','done','[[1],{}]',NULL,'here',1,1,0,1.0,1.0,2.0,3.0,NULL,NULL,'7',NULL,'https://example.org/hook');
INSERT INTO "dewar_jobs" VALUES('job-failed','resize','failed','[[1],{}]',NULL,'here',1,1,0,1.0,1.0,2.0,3.0,NULL,NULL,NULL,'{"type": "builtins:ValueError", "text": "x", "traceback": "", "args": []}',NULL);
INSERT INTO "dewar_jobs" VALUES('job-lost','resize','lost','[[1],{}]',NULL,'here',1,0,0,1.0,1.0,2.0,3.0,NULL,NULL,NULL,'{"type": "dewar.tasks.errors:JobLost", "text": "x", "traceback": "", "args": []}',NULL);
INSERT INTO "dewar_jobs" VALUES('job-cancelled','resize','cancelled','[[1],{}]',NULL,NULL,0,1,0,1.0,1.0,NULL,4.0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "dewar_jobs" VALUES('job-again','resize','queued','[[1],{}]',NULL,NULL,1,1,0,1.0,9.0,NULL,NULL,NULL,NULL,NULL,'{"type": "builtins:ValueError", "text": "x", "traceback": "", "args": []}',NULL);
INSERT INTO "dewar_jobs" VALUES('job-other-task','other','queued','[[1],{}]',NULL,NULL,0,1,0,1.0,1.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "dewar_meta" VALUES('version','1');
INSERT INTO "dewar_owners" VALUES('here','h',1,1.0,100.0);
