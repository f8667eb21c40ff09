import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Messages that a consumer could not handle. */
final class RetryScenes {
    private final Target target;

    RetryScenes(Target target) {
        this.target = target;
    }

    void addTo(Map<String, Check.Scene> scenes) {
        scenes.put("dead-letter", this::deadLetter);
        scenes.put("retry", this::retry);
    }

    private String retry() throws Exception {
        String topic = target.topic("retry", "NORMAL");
        DefaultMQPushConsumer consumer = target.consumer(target.group("retry"));
        consumer.subscribe(topic, "*");
        Inbox attempts = new Inbox();
        consumer.registerMessageListener((List<MessageExt> messages, ConsumeConcurrentlyContext context) -> {
            attempts.add(messages);
            return messages.get(0).getReconsumeTimes() == 0
                ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        target.start(consumer);
        SendResult sent = target.producer().send(Target.message(topic, "again"));

        List<MessageExt> got = attempts.await(2);
        Check.same(got.get(0).getReconsumeTimes(), 0, "first attempt");
        Check.same(got.get(1).getReconsumeTimes(), 1, "second attempt");
        for (MessageExt message : got) {
            Check.same(message.getTopic(), topic, "topic");
            Check.same(message.getMsgId(), sent.getMsgId(), "unique id");
        }
        return got.get(1).getStoreTimestamp() - got.get(0).getStoreTimestamp() + " ms apart";
    }

    private String deadLetter() throws Exception {
        String topic = target.topic("dead", "NORMAL");
        String group = target.group("dead");
        DefaultMQPushConsumer consumer = target.consumer(group);
        consumer.subscribe(topic, "*");
        consumer.setMaxReconsumeTimes(1);
        Inbox attempts = new Inbox();
        consumer.registerMessageListener((List<MessageExt> messages, ConsumeConcurrentlyContext context) -> {
            attempts.add(messages);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        target.start(consumer);
        SendResult sent = target.producer().send(Target.message(topic, "hopeless"));
        attempts.await(2);

        String dead = "%DLQ%" + group;
        MessageQueue queue = Inbox.eventually("dead letters", () -> target.admin().examineTopicStats(dead),
            stats -> stats.getOffsetTable().values().stream().anyMatch(offset -> offset.getMaxOffset() == 1))
            .getOffsetTable().keySet().iterator().next();
        DefaultLitePullConsumer puller = target.puller(target.group("undertaker"));
        puller.start();
        puller.assign(List.of(queue));
        MessageExt letter = Inbox.eventually("pulled", () -> puller.poll(1000), list -> !list.isEmpty()).get(0);
        Check.same(Inbox.text(letter), "hopeless", "body");
        Check.same(letter.getTopic(), dead, "topic");
        Check.same(letter.getMsgId(), sent.getMsgId(), "unique id");
        Check.same(letter.getReconsumeTimes(), 2, "attempts");
        Check.same(letter.getProperty(MessageConst.PROPERTY_RETRY_TOPIC), topic, "topic it was sent to");
        Check.same(letter.getProperty(MessageConst.PROPERTY_ORIGIN_MESSAGE_ID), sent.getOffsetMsgId(), "first id");
        return letter.getMsgId();
    }
}
